-- question: failures_now
-- title: What failed lately, each with its last message
-- description: Each kind of failure once, the latest first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: what text: tool, or kind of request
-- column: error_type text: kind of failure
-- column: times integer in failures: it failed
-- column: last_at time: UTC
-- column: last_message text: as it was recorded
-- column: last_activity text: cite it as activity:<id>
-- roles: owner, admin, engineer, agent
-- access: content
-- cap: 1 GB
-- cache: 1 min
-- reads: stream

SELECT
    COALESCE(related_tool, error_source) AS what,
    error_type,
    COUNT(*) AS times,
    MAX(ts) AS last_at,
    MAX_BY(error_message, ts) AS last_message,
    MAX_BY(activity_id, ts) AS last_activity
FROM V_ERRORS
WHERE ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1, 2
ORDER BY 4 DESC, 1, 2
LIMIT 50;

SELECT activity_id
FROM V_ERRORS
WHERE
    ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND COALESCE(related_tool, error_source) = CAST(:row_what AS VARCHAR)
    AND EQUAL_NULL(error_type, CAST(:row_error_type AS VARCHAR))
ORDER BY ts DESC, activity_id
LIMIT 1000
