-- The latest hours in which something failed for Claude.
-- Takes: {rows}, {rows_max}. Gives: hour, failed.
SELECT DATE_TRUNC('HOUR', ts) AS hour, SUM(activities) AS failed
FROM ({rows}) AS counted
WHERE
    activity = 'api_request_failed'
    OR (activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') AND NOT is_success)
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY hour DESC
LIMIT {rows_max}
