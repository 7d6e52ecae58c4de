-- Tool calls that ended and that failed, of each period; within the one asked for (0) also by hour.
-- Takes: as page_spend. Gives: period, hour, slice, ended, failed.
SELECT
    {period} AS period,
    CASE WHEN ts >= :start THEN DATE_TRUNC('HOUR', ts) END AS hour,
    CASE WHEN ts >= :start THEN FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) END AS slice,
    SUM(activities) AS ended,
    SUM(CASE WHEN is_success THEN 0 ELSE activities END) AS failed
FROM ({rows}) AS counted
WHERE activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') AND is_success IS NOT NULL
GROUP BY 1, 2, 3
HAVING SUM(activities) > 0
