-- What each project used.
-- Takes: {rows} of the period.
-- Gives: project, sessions, people, cost, tokens, responses, unpriced, newest (the hour of its last answer).
SELECT
    project_path AS project,
    COUNT(DISTINCT session_id) AS sessions,
    COUNT(DISTINCT customer) AS people,
    CASE WHEN SUM(priced) > 0 THEN SUM(cost_usd) END AS cost,
    SUM(tokens_shown) AS tokens,
    SUM(activities) AS responses,
    SUM(unpriced_shown) AS unpriced,
    MAX(hour) AS newest
FROM (
    SELECT
        project_path,
        session_id,
        customer,
        DATE_TRUNC('HOUR', ts) AS hour,
        SUM(priced) AS priced,
        SUM(cost_usd) AS cost_usd,
        SUM(tokens_shown) AS tokens_shown,
        SUM(activities) AS activities,
        SUM(unpriced_shown) AS unpriced_shown
    FROM ({rows}) AS counted
    WHERE is_counted
    GROUP BY 1, 2, 3, 4
    HAVING SUM(counted.activities) > 0
) AS used
GROUP BY 1
