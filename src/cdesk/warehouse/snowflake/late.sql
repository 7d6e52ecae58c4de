-- Takes: an activity_id. Gives: rows of the schema beside that the stream does not hold in the same state, in the order of their
-- ids from that one on, at most a thousand, in the columns of known.sql. CDESK.BESIDE stands for the schema beside.
SELECT
    b.activity_id,
    b.ts,
    COALESCE(b._told_customer, b.customer) AS told_customer,
    b.anonymous_customer_id,
    b.activity,
    b.feature_json,
    b.revenue_impact,
    b.link,
    b._org_id,
    b._session_id,
    b._source,
    b._query_tag,
    b._identity,
    b._also_id,
    b._also_id_2,
    b._observations,
    b._first_seq,
    b.customer,
    b._seq
FROM CDESK.BESIDE.CLAUDE_STREAM_V2 AS b
LEFT JOIN CDESK.ACTIVITY.CLAUDE_STREAM_V2 AS a ON b.activity_id = a.activity_id
WHERE b.activity_id > :1 AND (a.activity_id IS NULL OR a._seq <> b._seq)
ORDER BY b.activity_id
LIMIT 1000
