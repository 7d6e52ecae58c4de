-- Sessions by the hour of their first activity in the period.
-- Takes: :start, :slice_minutes. Gives: hour, slice, sessions.
SELECT
    DATE_TRUNC('HOUR', began_at) AS hour,
    FLOOR(EXTRACT(MINUTE FROM began_at) / NULLIF(:slice_minutes, 0)) AS slice,
    COUNT(*) AS sessions
FROM (
    SELECT _session_id, MIN(ts) AS began_at
    FROM CLAUDE_STREAM_V2
    WHERE ts >= :start AND _session_id IS NOT NULL
    GROUP BY _session_id
) AS begun
GROUP BY 1, 2
