-- Takes: three JSON arrays, what the standing identity operations come to: corrected facts {fact, owner}, windows of anonymous
-- ids {anonymous_id, owner, starts, ends} without overlaps, and names {name, customer}, customer missing for who is removed.
-- Gives: activity_id, customer, told, shown of every row that is not shown as they say.
WITH corrected AS (
    SELECT
        f.value:fact::VARCHAR AS fact,
        f.value:owner::VARCHAR AS owner
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f
),

linked AS (
    SELECT
        f.value:anonymous_id::VARCHAR AS anonymous_id,
        f.value:owner::VARCHAR AS owner,
        f.value:starts::TIMESTAMP_NTZ AS starts,
        f.value:ends::TIMESTAMP_NTZ AS ends
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f
),

named AS (
    SELECT
        f.value:name::VARCHAR AS name,
        f.value:customer::VARCHAR AS customer
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f
),

owned AS (
    SELECT
        s.activity_id,
        s.customer,
        s.anonymous_customer_id,
        COALESCE(s._told_customer, s.customer) AS told,
        COALESCE(c.owner, c1.owner, c2.owner, l.owner, s._told_customer, s.customer) AS owner
    FROM CLAUDE_STREAM_V2 AS s
    LEFT JOIN corrected AS c ON s.activity_id = c.fact
    LEFT JOIN corrected AS c1 ON s._also_id = c1.fact
    LEFT JOIN corrected AS c2 ON s._also_id_2 = c2.fact
    LEFT JOIN linked AS l
        ON s.anonymous_customer_id = l.anonymous_id AND s.ts >= l.starts AND s.ts < l.ends
),

seen AS (
    SELECT
        o.activity_id,
        o.customer,
        o.told,
        CASE
            WHEN n.name IS NULL THEN o.owner
            WHEN n.customer IS NULL AND o.anonymous_customer_id IS NULL THEN 'removed'
            ELSE n.customer
        END AS shown
    FROM owned AS o
    LEFT JOIN named AS n ON o.owner = n.name
)

SELECT
    activity_id,
    customer,
    told,
    shown
FROM seen
WHERE customer IS DISTINCT FROM shown
