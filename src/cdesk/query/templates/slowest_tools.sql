-- question: slowest_tools
-- title: Which tools are waited for longest
-- description: Calls with a known time, by tool, the longest wait in all first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: tool text: its name
-- column: calls integer in calls: with a known time
-- column: latency_p50_ms number in ms: half are faster
-- column: latency_p95_ms number in ms: 95 of 100 are faster
-- column: waited_s number in s: in all
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars tool waited_s
-- reads: stream

SELECT
    tool_name_normalized AS tool,
    COUNT(*) AS calls,
    ROUND(MEDIAN(latency_ms), 1) AS latency_p50_ms,
    ROUND(PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms), 1) AS latency_p95_ms,
    ROUND(SUM(latency_ms) / 1000, 1) AS waited_s
FROM VW_TOOL_EVENTS
WHERE
    latency_ms BETWEEN 0 AND 1e12 AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 5 DESC, 1;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE
    latency_ms BETWEEN 0 AND 1e12 AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
ORDER BY latency_ms DESC, activity_id
LIMIT 1000
