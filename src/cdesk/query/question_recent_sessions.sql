-- The sessions of late, the latest first.
-- Takes: :since, :project (NULL: all). Gives: session, project, began, ended, prompts, tool_calls, failed_calls, cost_usd.
SELECT
    session_id AS session,
    MIN(project_path) AS project,
    MIN(ts) AS began,
    MAX(ts) AS ended,
    SUM(CASE WHEN activity = 'user_asked' THEN activities ELSE 0 END) AS prompts,
    SUM(CASE WHEN activity = 'tool_called' THEN activities ELSE 0 END) AS tool_calls,
    SUM(CASE WHEN activity = 'tool_called' AND NOT is_success THEN activities ELSE 0 END) AS failed_calls,
    SUM(CASE WHEN activity = 'claude_responded' AND is_counted THEN cost_usd END) AS cost_usd
FROM V_ROLLUP_ROWS
WHERE
    session_id IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 4 DESC, 1
LIMIT 50
