-- question: mcp_servers
-- title: How MCP servers answer
-- description: Calls, failures and times by server and method, the most used first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: server text: its name
-- column: method text: the tool
-- column: calls integer in calls: of it
-- column: failed integer in calls: of these
-- column: latency_p50_ms number in ms: half are faster
-- column: latency_p95_ms number in ms: 95 of 100 are faster
-- column: last_used time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars method calls by server
-- reads: stream

SELECT
    COALESCE(mcp_server, 'unknown') AS server,
    method,
    COUNT(*) AS calls,
    COUNT_IF(NOT success) AS failed,
    ROUND(MEDIAN(latency_ms), 1) AS latency_p50_ms,
    ROUND(PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms), 1) AS latency_p95_ms,
    MAX(ts) AS last_used
FROM VW_MCP_EVENTS
WHERE ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2;

SELECT activity_id
FROM VW_MCP_EVENTS
WHERE
    ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND COALESCE(mcp_server, 'unknown') = CAST(:row_server AS VARCHAR)
    AND EQUAL_NULL(method, CAST(:row_method AS VARCHAR))
    AND (:column <> 'failed' OR NOT success)
ORDER BY ts DESC, activity_id
LIMIT 1000
