-- Sessions whose last hour is among the latest, by hours: all of the last such hour, so that the exact order can be told.
-- Takes: {rows}, {where} (conditions on rows), {wanted} (more than 0 in sum: the session is), {rows_max}, :until (the hour
-- to begin with).
-- Gives: session_id, began_hour, ended_hour, activities, prompts.
SELECT
    session_id,
    MIN(hour) AS began_hour,
    MAX(hour) AS ended_hour,
    SUM(activities) AS activities,
    SUM(prompts) AS prompts
FROM (
    SELECT
        session_id,
        DATE_TRUNC('HOUR', ts) AS hour,
        SUM(activities) AS activities,
        SUM(CASE WHEN activity = 'user_asked' THEN activities ELSE 0 END) AS prompts,
        SUM({wanted}) AS wanted
    FROM ({rows}) AS counted
    WHERE session_id IS NOT NULL AND {where}
    GROUP BY 1, 2
    HAVING SUM(counted.activities) > 0
) AS hours
GROUP BY session_id
HAVING SUM(wanted) > 0 AND MAX(hour) <= :until
QUALIFY RANK() OVER (PARTITION BY MAX(hour) < :until ORDER BY MAX(hour) DESC) <= {rows_max}
