-- Takes: a JSON array of names of facts. Gives: every row that has one of them, and its _seq.
WITH wanted AS (
    SELECT DISTINCT f.value::VARCHAR AS name
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f
),

found AS (
    SELECT s.activity_id
    FROM CLAUDE_STREAM_V2 AS s
    INNER JOIN wanted ON s.activity_id = wanted.name
    UNION
    SELECT s.activity_id
    FROM CLAUDE_STREAM_V2 AS s
    INNER JOIN wanted ON s._also_id = wanted.name
    UNION
    SELECT s.activity_id
    FROM CLAUDE_STREAM_V2 AS s
    INNER JOIN wanted ON s._also_id_2 = wanted.name
)

SELECT
    s.activity_id,
    s.ts,
    COALESCE(s._told_customer, s.customer) AS told_customer,
    s.anonymous_customer_id,
    s.activity,
    s.feature_json,
    s.revenue_impact,
    s.link,
    s._org_id,
    s._session_id,
    s._source,
    s._query_tag,
    s._identity,
    s._also_id,
    s._also_id_2,
    s._observations,
    s._first_seq,
    s.customer,
    s._seq
FROM CLAUDE_STREAM_V2 AS s
INNER JOIN found ON s.activity_id = found.activity_id
