-- Sessions by the hour of their first activity in the period.
-- Takes: {rows} (of the period), :slice_minutes. Gives: hour, slice, sessions.
SELECT hour, slice, COUNT(*) AS sessions
FROM (
    SELECT
        session_id,
        DATE_TRUNC('HOUR', ts) AS hour,
        FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) AS slice
    FROM ({rows}) AS counted
    WHERE session_id IS NOT NULL
    GROUP BY 1, 2, 3
    HAVING SUM(activities) > 0
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY session_id
        ORDER BY DATE_TRUNC('HOUR', ts), FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0))
    ) = 1
) AS begun
GROUP BY 1, 2
