-- task: number_occurrences
-- meaning: how often each customer did each activity up to each row, and when it did it again
-- reads: NUMBER_OCCURRENCES_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 s
-- writes: CLAUDE_STREAM_V2, OCCURRENCE_STATE
-- scratch: OCCURRENCE_TOUCHED

-- A pair is a customer (without one, the machine) and an activity; its rows are in the order of (ts, activity_id).
-- Rows before the earliest change of a pair keep their numbers. The others are numbered from the end, because how many
-- there are in all is known: before, plus those that came, less those that went. So a row that comes last costs itself
-- and the row before it, however long the history; a late one also the rows after it, which really have new numbers.
-- All bounds on ts come from OCCURRENCE_TOUCHED, so that only the time around the changes is read.

-- 1. Pairs that changed. A row that now says more, at the same time and of the same pair, is no change here (one that
-- went and came again is: it has lost its number).
-- Where the last row so far is before all changes, it is the row before; where it went, the last one is not known yet.
INSERT INTO OCCURRENCE_TOUCHED (customer, activity, occurrences, low_ts, prev_ts, prev_id, last_ts, last_id)
WITH changed AS (
    SELECT
        COALESCE(customer, anonymous_customer_id) AS customer,
        activity,
        ts,
        activity_id,
        SUM(IFF(METADATA$ACTION = 'INSERT', 1, -1)) AS delta
    FROM NUMBER_OCCURRENCES_CHANGES
    GROUP BY COALESCE(customer, anonymous_customer_id), activity, ts, activity_id
    HAVING
        SUM(IFF(METADATA$ACTION = 'INSERT', 1, -1)) <> 0
        OR COUNT_IF(METADATA$ACTION = 'INSERT' AND NOT METADATA$ISUPDATE) > 0
),

ranked AS (
    SELECT
        changed.*,
        ROW_NUMBER() OVER (
            PARTITION BY customer, activity ORDER BY IFF(delta < 0, 1, 0), ts DESC, activity_id DESC
        ) AS place
    FROM changed
),

pairs AS (
    SELECT
        customer,
        activity,
        SUM(delta) AS delta,
        MIN(ts) AS low_ts,
        MAX(IFF(place = 1 AND delta >= 0, ts, NULL)) AS newest_ts,
        MAX(IFF(place = 1 AND delta >= 0, activity_id, NULL)) AS newest_id
    FROM ranked
    GROUP BY customer, activity
),

known AS (
    SELECT
        pairs.*,
        COALESCE(s.occurrences, 0) AS occurrences,
        IFF(s.last_ts < pairs.low_ts, s.last_ts, NULL) AS prev_ts,
        IFF(s.last_ts < pairs.low_ts, s.last_id, NULL) AS prev_id,
        s.last_ts,
        s.last_id,
        gone.activity_id IS NOT NULL AS is_last_gone
    FROM pairs
    LEFT JOIN OCCURRENCE_STATE AS s ON EQUAL_NULL(s.customer, pairs.customer) AND s.activity = pairs.activity
    LEFT JOIN changed AS gone
        ON gone.activity_id = s.last_id AND gone.ts = s.last_ts AND gone.delta < 0
        AND EQUAL_NULL(gone.customer, s.customer) AND gone.activity = s.activity
)

SELECT
    customer,
    activity,
    occurrences + delta,
    low_ts,
    prev_ts,
    prev_id,
    CASE
        WHEN is_last_gone THEN NULL
        WHEN last_ts > newest_ts OR (last_ts = newest_ts AND last_id > newest_id) OR newest_ts IS NULL THEN last_ts
        ELSE newest_ts
    END,
    CASE
        WHEN is_last_gone THEN NULL
        WHEN last_ts > newest_ts OR (last_ts = newest_ts AND last_id > newest_id) OR newest_ts IS NULL THEN last_id
        ELSE newest_id
    END
FROM known;

-- 2. The row before, where something came late or went: first close by, …
UPDATE OCCURRENCE_TOUCHED
SET prev_ts = near.ts, prev_id = near.activity_id
FROM (
    SELECT t.customer, t.activity, e.ts, e.activity_id
    FROM OCCURRENCE_TOUCHED AS t
    INNER JOIN CLAUDE_STREAM_V2 AS e
        ON EQUAL_NULL(COALESCE(e.customer, e.anonymous_customer_id), t.customer) AND e.activity = t.activity
        AND e.ts < t.low_ts AND e.ts >= DATEADD(SECOND, -30, t.low_ts)
    WHERE
        t.prev_ts IS NULL
        AND e.ts >= (
            SELECT COALESCE(DATEADD(SECOND, -30, MIN(low_ts)), '9999-12-31'::TIMESTAMP_NTZ)
            FROM OCCURRENCE_TOUCHED WHERE prev_ts IS NULL
        )
    QUALIFY ROW_NUMBER() OVER (PARTITION BY t.customer, t.activity ORDER BY e.ts DESC, e.activity_id DESC) = 1
) AS near
WHERE
    EQUAL_NULL(OCCURRENCE_TOUCHED.customer, near.customer) AND OCCURRENCE_TOUCHED.activity = near.activity
    AND OCCURRENCE_TOUCHED.prev_ts IS NULL;

-- … then anywhere. A pair that is new has none, and is not looked for.
UPDATE OCCURRENCE_TOUCHED
SET prev_ts = far.ts, prev_id = far.activity_id
FROM (
    SELECT t.customer, t.activity, e.ts, e.activity_id
    FROM OCCURRENCE_TOUCHED AS t
    INNER JOIN OCCURRENCE_STATE AS s ON EQUAL_NULL(s.customer, t.customer) AND s.activity = t.activity
    INNER JOIN CLAUDE_STREAM_V2 AS e
        ON EQUAL_NULL(COALESCE(e.customer, e.anonymous_customer_id), t.customer) AND e.activity = t.activity
        AND e.ts < t.low_ts
    WHERE t.prev_ts IS NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY t.customer, t.activity ORDER BY e.ts DESC, e.activity_id DESC) = 1
) AS far
WHERE
    EQUAL_NULL(OCCURRENCE_TOUCHED.customer, far.customer) AND OCCURRENCE_TOUCHED.activity = far.activity
    AND OCCURRENCE_TOUCHED.prev_ts IS NULL;

-- 3. The last row, where it went: the last of those since the earliest change, or the row before that.
UPDATE OCCURRENCE_TOUCHED
SET last_ts = found.ts, last_id = found.activity_id
FROM (
    SELECT t.customer, t.activity, e.ts, e.activity_id
    FROM OCCURRENCE_TOUCHED AS t
    INNER JOIN CLAUDE_STREAM_V2 AS e
        ON EQUAL_NULL(COALESCE(e.customer, e.anonymous_customer_id), t.customer) AND e.activity = t.activity
        AND e.ts >= t.low_ts
    WHERE
        t.last_ts IS NULL
        -- mostly none went: then no time is late enough, and nothing is read
        AND e.ts >= (
            SELECT COALESCE(MIN(low_ts), '9999-12-31'::TIMESTAMP_NTZ) FROM OCCURRENCE_TOUCHED WHERE last_ts IS NULL
        )
    QUALIFY ROW_NUMBER() OVER (PARTITION BY t.customer, t.activity ORDER BY e.ts DESC, e.activity_id DESC) = 1
) AS found
WHERE
    EQUAL_NULL(OCCURRENCE_TOUCHED.customer, found.customer) AND OCCURRENCE_TOUCHED.activity = found.activity
    AND OCCURRENCE_TOUCHED.last_ts IS NULL;

UPDATE OCCURRENCE_TOUCHED
SET last_ts = prev_ts, last_id = prev_id
WHERE last_ts IS NULL;

-- 4. Numbers and times of repetition since the earliest change, and of the row before where that is close.
UPDATE CLAUDE_STREAM_V2
SET activity_occurrence = numbered.occurrence, activity_repeated_at = numbered.repeated_at
FROM (
    SELECT
        e.activity_id,
        e.ts,
        e.activity_occurrence AS old_occurrence,
        e.activity_repeated_at AS old_repeated_at,
        IFF(
            t.customer IS NULL, NULL,
            t.occurrences + 1 - ROW_NUMBER() OVER (
                PARTITION BY t.customer, t.activity ORDER BY e.ts DESC, e.activity_id DESC
            )
        ) AS occurrence,
        IFF(
            t.customer IS NULL, NULL,
            LAG(e.ts) OVER (PARTITION BY t.customer, t.activity ORDER BY e.ts DESC, e.activity_id DESC)
        ) AS repeated_at
    FROM CLAUDE_STREAM_V2 AS e
    INNER JOIN OCCURRENCE_TOUCHED AS t
        ON EQUAL_NULL(COALESCE(e.customer, e.anonymous_customer_id), t.customer) AND e.activity = t.activity
        AND e.ts >= IFF(t.prev_ts >= DATEADD(SECOND, -30, t.low_ts), t.prev_ts, t.low_ts)
    WHERE e.ts >= (
        SELECT MIN(IFF(prev_ts >= DATEADD(SECOND, -30, low_ts), prev_ts, low_ts)) FROM OCCURRENCE_TOUCHED
    )
) AS numbered
WHERE
    CLAUDE_STREAM_V2.activity_id = numbered.activity_id
    AND CLAUDE_STREAM_V2.ts = numbered.ts
    AND NOT (
        EQUAL_NULL(numbered.old_occurrence, numbered.occurrence)
        AND EQUAL_NULL(numbered.old_repeated_at, numbered.repeated_at)
    );

-- The row before, where it is far: few, and each is found by its time.
UPDATE CLAUDE_STREAM_V2
SET activity_repeated_at = next.ts
FROM (
    SELECT t.prev_ts, t.prev_id, MIN(e.ts) AS ts
    FROM OCCURRENCE_TOUCHED AS t
    LEFT JOIN CLAUDE_STREAM_V2 AS e
        ON EQUAL_NULL(COALESCE(e.customer, e.anonymous_customer_id), t.customer) AND e.activity = t.activity
        AND e.ts >= t.low_ts
        AND e.ts >= (SELECT MIN(low_ts) FROM OCCURRENCE_TOUCHED)
    WHERE t.prev_ts < DATEADD(SECOND, -30, t.low_ts) AND t.customer IS NOT NULL
    GROUP BY t.prev_ts, t.prev_id
) AS next
WHERE CLAUDE_STREAM_V2.activity_id = next.prev_id AND CLAUDE_STREAM_V2.ts = next.prev_ts;

-- 5. How it stands now.
DELETE FROM OCCURRENCE_STATE
USING OCCURRENCE_TOUCHED AS t
WHERE EQUAL_NULL(OCCURRENCE_STATE.customer, t.customer) AND OCCURRENCE_STATE.activity = t.activity;

INSERT INTO OCCURRENCE_STATE (customer, activity, occurrences, last_ts, last_id)
SELECT customer, activity, occurrences, last_ts, last_id
FROM OCCURRENCE_TOUCHED
WHERE occurrences > 0;
