-- What tools were called in each project.
-- Takes: {rows} of the period. Gives: project, calls, failed.
SELECT project_path AS project, SUM(activities) AS calls, SUM(CASE WHEN NOT is_success THEN activities ELSE 0 END) AS failed
FROM ({rows}) AS counted
WHERE activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
GROUP BY 1
HAVING SUM(activities) > 0
