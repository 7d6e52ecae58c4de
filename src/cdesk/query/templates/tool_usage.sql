-- question: tool_usage
-- title: Which tools are used, and how often they fail
-- description: Calls that ended, by tool, the most used first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: tool text: its name
-- column: calls integer in calls: that ended
-- column: failed integer in calls: of these
-- column: failure_pct number in percent: of the calls
-- column: latency_p50_ms number in ms: half are faster
-- column: last_used time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars tool calls
-- reads: stream

SELECT
    tool_name_normalized AS tool,
    COUNT(*) AS calls,
    COUNT_IF(NOT success) AS failed,
    ROUND(COUNT_IF(NOT success) * 100.0 / NULLIF(COUNT(*), 0), 1) AS failure_pct,
    ROUND(MEDIAN(latency_ms), 1) AS latency_p50_ms,
    MAX(ts) AS last_used
FROM VW_TOOL_EVENTS
WHERE
    success IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 2 DESC, 1;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE
    success IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
    AND (:column NOT IN ('failed', 'failure_pct') OR NOT success)
ORDER BY ts DESC, activity_id
LIMIT 1000
