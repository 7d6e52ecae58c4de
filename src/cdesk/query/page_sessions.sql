-- Sessions, the latest first, and where each begins and ends.
-- Takes: {where} (conditions on activities), {having} (on sessions), {rows_max}, and their values.
-- Gives: session_id, began_at, ended_at, activities, prompts.
SELECT
    _session_id AS session_id,
    MIN(ts) AS began_at,
    MAX(ts) AS ended_at,
    COUNT(*) AS activities,
    COUNT(CASE WHEN activity = 'user_asked' THEN 1 END) AS prompts
FROM CLAUDE_STREAM_V2
WHERE _session_id IS NOT NULL AND {where}
GROUP BY _session_id
HAVING {having}
ORDER BY ended_at DESC, session_id DESC
LIMIT {rows_max}
