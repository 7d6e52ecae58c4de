-- What failed lately, the latest first, each kind of failure with its last message.
-- Takes: :since, :project (NULL: all). Gives: what, error_type, times, last_at, last_message, last_activity.
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
LIMIT 50
