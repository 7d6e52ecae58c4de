-- Which tools are waited for longest, in all.
-- Takes: :since, :project (NULL: all). Gives: tool, calls, latency_p50_ms, latency_p95_ms, waited_s.
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
ORDER BY 5 DESC, 1
