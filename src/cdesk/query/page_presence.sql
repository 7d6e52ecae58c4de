-- Sessions of each period.
-- Takes: {rows} since the oldest period, {period}. Gives: period, sessions.
SELECT period, COUNT(*) AS sessions
FROM (
    SELECT {period} AS period, session_id
    FROM ({rows}) AS counted
    WHERE session_id IS NOT NULL
    GROUP BY 1, 2
    HAVING SUM(activities) > 0
) AS present
GROUP BY 1
