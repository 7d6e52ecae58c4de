-- Which tools are used and how often they fail, the most used first.
-- Takes: :since, :project (NULL: all). Gives: tool, calls, failed, failure_pct, latency_p50_ms, last_used.
SELECT
    tool_name_normalized AS tool,
    COUNT(*) AS calls,
    SUM(CASE WHEN success THEN 0 ELSE 1 END) AS failed,
    ROUND(SUM(CASE WHEN success THEN 0 ELSE 1 END) * 100.0 / COUNT(*), 1) AS failure_pct,
    ROUND(MEDIAN(latency_ms), 1) AS latency_p50_ms,
    MAX(ts) AS last_used
FROM VW_TOOL_EVENTS
WHERE
    success IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 2 DESC, 1
