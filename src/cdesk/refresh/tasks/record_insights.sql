-- task: record_insights
-- meaning: atoms of what Claude and people recorded, as people corrected it
-- reads: RECORD_INSIGHTS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 s
-- about: insight_recorded, insight_corrected
-- writes: INSIGHT_SAID, INSIGHT_ATOMS
-- scratch: RECORDED_ATOM, INSIGHT_TOUCHED

-- What was said is kept in INSIGHT_SAID, and all atoms of a customer about whose something was said are a function of that
-- alone: order, repetition, late arrival, correction and deletion of the activities cannot be seen in them.
--
-- An atom rests on its own activity alone, which kept the catalog's shape or is not here. What drifts later is no reason to
-- doubt it, so its derivation names no features.
--
-- An atom's id is that of the activity that recorded it. Two atoms are of one thing when customer, subject, metric, project
-- and grain are the same. Then the earlier one
--   is superseded    by the next one that is of the same author, or says the same, or comes after the earlier one's time,
--                    or replaces it by name
--   is contradicted  by one of another author that says something else: both stay, each names the other, and of either
--                    half of the confidence is left
-- Only people correct, others' atoms too. A correction is an atom of its own that replaces the one it corrects and is of the
-- same thing and customer. Of silence and restore the latest stands. Without a time an atom is valid for 90 days; without a
-- figure people are believed to 0.95 and everyone else to 0.7.

-- 1. What was said, and whose atoms that is about.
INSERT INTO INSIGHT_TOUCHED (customer)
SELECT customer
FROM RECORD_INSIGHTS_CHANGES
WHERE customer IS NOT NULL AND activity IN ('insight_recorded', 'insight_corrected')
UNION
SELECT customer
FROM INSIGHT_ATOMS
WHERE id IN (
    SELECT feature_json:atom_id::VARCHAR FROM RECORD_INSIGHTS_CHANGES WHERE activity = 'insight_corrected'
);

DELETE FROM INSIGHT_SAID
WHERE activity_id IN (
    SELECT activity_id FROM RECORD_INSIGHTS_CHANGES WHERE activity IN ('insight_recorded', 'insight_corrected')
);

INSERT INTO INSIGHT_SAID (
    activity_id, ts, customer, org_id, project_path, action, atom_id, subject, metric, statement, value, unit, grain,
    confidence, valid_until, evidence, author, reason
)
WITH told AS (
    SELECT *, IFF(activity = 'insight_recorded', 'record', feature_json:action::VARCHAR) AS action
    FROM RECORD_INSIGHTS_CHANGES
    WHERE
        METADATA$ACTION = 'INSERT' AND customer IS NOT NULL
        AND activity IN ('insight_recorded', 'insight_corrected')
)

SELECT
    activity_id,
    ts,
    customer,
    _org_id,
    feature_json:project_path::VARCHAR,
    action,
    IFF(action = 'record', feature_json:replaces::VARCHAR, feature_json:atom_id::VARCHAR),
    TRIM(feature_json:subject::VARCHAR),
    TRIM(feature_json:metric::VARCHAR),
    feature_json:statement::VARCHAR,
    feature_json:value,
    feature_json:unit::VARCHAR,
    feature_json:grain::VARCHAR,
    GREATEST(0, LEAST(1, TRY_TO_DOUBLE(feature_json:confidence::VARCHAR))),
    TRY_TO_TIMESTAMP_NTZ(feature_json:valid_until::VARCHAR),
    feature_json:evidence,
    LOWER(feature_json:author::VARCHAR),
    feature_json:reason::VARCHAR
FROM told
WHERE
    (action = 'record' AND TRIM(feature_json:subject::VARCHAR) <> '' AND TRIM(feature_json:metric::VARCHAR) <> '')
    OR (action IN ('silence', 'restore', 'correct') AND LOWER(feature_json:author::VARCHAR) = 'person');

-- 2. The atoms as they should be. A correction is of what its atom is of, however long the chain of corrections.
INSERT INTO RECORDED_ATOM (
    id, ts, customer, org_id, project_path, subject, metric, statement, value, said, unit, grain, confidence,
    valid_until, evidence, author, replaces, reason, superseded_by
)
WITH RECURSIVE atoms AS (
    SELECT
        activity_id::VARCHAR AS id, ts, customer, org_id, project_path, subject, metric, statement, value, unit, grain,
        confidence, valid_until, evidence, author, atom_id AS replaces, reason
    FROM INSIGHT_SAID
    WHERE action = 'record' AND customer IN (SELECT customer FROM INSIGHT_TOUCHED)

    UNION ALL

    -- Where detectors found it: only to be corrected.
    SELECT
        id, ts, customer, org_id, derivation:project_path::VARCHAR AS project_path, subject, metric,
        NULL AS statement, value, unit, grain, NULL AS confidence, NULL AS valid_until, NULL AS evidence,
        NULL AS author, NULL AS replaces, NULL AS reason
    FROM INSIGHT_ATOMS
    WHERE derivation_method = 'detected' AND customer IN (SELECT customer FROM INSIGHT_TOUCHED)
),

corrected AS (
    SELECT * FROM atoms

    UNION ALL

    SELECT
        said.activity_id::VARCHAR AS id, said.ts, was.customer, was.org_id, was.project_path, was.subject, was.metric,
        COALESCE(said.statement, was.statement) AS statement, COALESCE(said.value, was.value) AS value, was.unit,
        was.grain, said.confidence, said.valid_until, said.evidence, said.author, was.id AS replaces, said.reason
    FROM corrected AS was
    INNER JOIN INSIGHT_SAID AS said ON said.action = 'correct' AND said.atom_id = was.id
),

recorded AS (
    SELECT
        c.id, c.ts, c.customer, c.org_id, c.project_path, c.subject, c.metric, c.statement, c.value,
        COALESCE(TO_JSON(c.value), c.statement, '') AS said,
        c.unit, c.grain,
        COALESCE(c.confidence, IFF(c.author = 'person', 0.95, 0.7)) AS confidence,
        COALESCE(c.valid_until, DATEADD(DAY, 90, c.ts)) AS valid_until,
        c.evidence, COALESCE(c.author, 'unknown') AS author, c.replaces, c.reason
    FROM corrected AS c
    WHERE c.id IN (SELECT activity_id::VARCHAR FROM INSIGHT_SAID)
),

superseded AS (
    SELECT was.id, MIN_BY(next.id, next.ts::VARCHAR || next.id) AS superseded_by
    FROM recorded AS was
    INNER JOIN recorded AS next
        ON
            next.customer = was.customer
            AND next.id <> was.id
            AND (
                (next.replaces = was.id AND next.ts >= was.ts)
                OR (
                    next.subject = was.subject AND next.metric = was.metric
                    AND EQUAL_NULL(next.project_path, was.project_path)
                    AND EQUAL_NULL(next.grain, was.grain)
                    AND (next.ts > was.ts OR (next.ts = was.ts AND next.id > was.id))
                    AND (next.author = was.author OR next.said = was.said OR next.ts >= was.valid_until)
                )
            )
    GROUP BY was.id
)

SELECT
    r.id, r.ts, r.customer, r.org_id, r.project_path, r.subject, r.metric, r.statement, r.value, r.said, r.unit,
    r.grain, r.confidence, r.valid_until, r.evidence, r.author, r.replaces, r.reason, s.superseded_by
FROM recorded AS r
LEFT JOIN superseded AS s ON s.id = r.id;

-- 3. What is there becomes what should be there.
MERGE INTO INSIGHT_ATOMS AS t
USING (
    WITH contradicted AS (
        SELECT a.id, '["' || LISTAGG(b.id, '","') WITHIN GROUP (ORDER BY b.id) || '"]' AS by_ids
        FROM RECORDED_ATOM AS a
        INNER JOIN RECORDED_ATOM AS b
            ON
                a.customer = b.customer AND a.subject = b.subject AND a.metric = b.metric
                AND EQUAL_NULL(a.project_path, b.project_path) AND EQUAL_NULL(a.grain, b.grain)
                AND a.author <> b.author AND a.said <> b.said
                AND a.superseded_by IS NULL AND b.superseded_by IS NULL
        GROUP BY a.id
    ),

    silent AS (
        SELECT atom_id, MAX_BY(action, ts::VARCHAR || activity_id::VARCHAR) = 'silence' AS is_silenced
        FROM INSIGHT_SAID
        WHERE action IN ('silence', 'restore')
        GROUP BY atom_id
    )

    SELECT
        r.id, r.ts, r.customer, r.org_id, r.subject, r.metric, r.value, r.unit, r.grain,
        IFF(c.id IS NULL, r.confidence, r.confidence * 0.5) AS confidence,
        r.valid_until,
        r.superseded_by,
        COALESCE(silent.is_silenced, FALSE) AS is_silenced,
        TO_JSON(OBJECT_CONSTRUCT(
            'task', 'record_insights',
            'method', 'recorded',
            'activity', r.id,
            'author', r.author,
            'statement', r.statement,
            'project_path', r.project_path,
            'evidence', r.evidence,
            'replaces', r.replaces,
            'reason', r.reason,
            'contradicts', PARSE_JSON(c.by_ids)
        )) AS derivation
    FROM RECORDED_ATOM AS r
    LEFT JOIN contradicted AS c ON c.id = r.id
    LEFT JOIN silent ON silent.atom_id = r.id
) AS s
ON t.id = s.id
WHEN MATCHED AND (
    t.derivation_method <> 'recorded'
    OR t.customer <> s.customer OR t.subject <> s.subject OR t.metric <> s.metric
    OR t.valid_from <> s.ts OR t.valid_until <> s.valid_until OR t.confidence <> s.confidence
    OR NOT EQUAL_NULL(TO_JSON(t.value), TO_JSON(s.value))
    OR NOT EQUAL_NULL(t.org_id, s.org_id)
    OR NOT EQUAL_NULL(t.unit, s.unit) OR NOT EQUAL_NULL(t.grain, s.grain)
    OR NOT EQUAL_NULL(t.superseded_by, s.superseded_by)
    OR COALESCE(t.is_silenced, FALSE) <> s.is_silenced
    OR TO_JSON(t.derivation) <> s.derivation
) THEN UPDATE SET
    ts = :now, customer = s.customer, org_id = s.org_id, subject = s.subject, metric = s.metric, value = s.value,
    unit = s.unit, grain = s.grain, confidence = s.confidence, derivation_method = 'recorded',
    derivation = PARSE_JSON(s.derivation), valid_from = s.ts, valid_until = s.valid_until,
    superseded_by = s.superseded_by, is_silenced = s.is_silenced
WHEN NOT MATCHED THEN INSERT (
    id, ts, customer, org_id, subject, metric, value, unit, grain, confidence, derivation_method, derivation,
    valid_from, valid_until, superseded_by, is_stale, usage_count, schema_version, is_quarantined, is_silenced
) VALUES (
    s.id, :now, s.customer, s.org_id, s.subject, s.metric, s.value, s.unit, s.grain, s.confidence, 'recorded',
    PARSE_JSON(s.derivation), s.ts, s.valid_until, s.superseded_by, FALSE, 0, 1, FALSE, s.is_silenced
);

-- What was taken back is not remembered.
DELETE FROM INSIGHT_ATOMS
WHERE
    derivation_method = 'recorded'
    AND customer IN (SELECT customer FROM INSIGHT_TOUCHED)
    AND id NOT IN (SELECT id FROM RECORDED_ATOM);

-- 4. Of atoms that nobody recorded: all may be silenced, those that detectors found may also be replaced.
UPDATE INSIGHT_ATOMS
SET is_silenced = said.is_silenced, superseded_by = said.superseded_by, ts = :now
FROM (
    WITH silent AS (
        SELECT atom_id, MAX_BY(action, ts::VARCHAR || activity_id::VARCHAR) = 'silence' AS is_silenced
        FROM INSIGHT_SAID
        WHERE action IN ('silence', 'restore')
        GROUP BY atom_id
    ),

    replaced AS (
        SELECT replaces, customer, MIN_BY(id, ts::VARCHAR || id) AS superseded_by
        FROM RECORDED_ATOM
        WHERE replaces IS NOT NULL
        GROUP BY replaces, customer
    )

    SELECT
        a.id,
        COALESCE(silent.is_silenced, FALSE) AS is_silenced,
        IFF(a.derivation_method = 'detected', replaced.superseded_by, a.superseded_by) AS superseded_by
    FROM INSIGHT_ATOMS AS a
    LEFT JOIN silent ON silent.atom_id = a.id
    LEFT JOIN replaced ON replaced.replaces = a.id AND replaced.customer = a.customer
    WHERE
        a.derivation_method <> 'recorded'
        AND a.customer IN (SELECT customer FROM INSIGHT_TOUCHED)
) AS said
WHERE
    INSIGHT_ATOMS.id = said.id
    AND (
        COALESCE(INSIGHT_ATOMS.is_silenced, FALSE) <> said.is_silenced
        OR NOT EQUAL_NULL(INSIGHT_ATOMS.superseded_by, said.superseded_by)
    );
