-- What was used since the beginning of the week and of today, by project (is_all 0) and in all (is_all 1).
-- Takes: :customers, :week and :today (UTC), {allowed}: which projects. Gives: customer, project_path, is_all, and for
-- the week and for today: cost_usd (NULL: nothing was priced), tokens, sessions, unpriced (responses).
SELECT
    customer,
    project_path,
    GROUPING(project_path) AS is_all,
    SUM(CASE WHEN is_counted AND priced > 0 THEN cost_usd END) AS week_cost_usd,
    SUM(CASE WHEN is_counted THEN tokens_shown ELSE 0 END) AS week_tokens,
    COUNT(DISTINCT session_id) AS week_sessions,
    SUM(CASE WHEN is_counted THEN unpriced_shown ELSE 0 END) AS week_unpriced,
    SUM(CASE WHEN is_counted AND priced > 0 AND hour >= :today THEN cost_usd END) AS today_cost_usd,
    SUM(CASE WHEN is_counted AND hour >= :today THEN tokens_shown ELSE 0 END) AS today_tokens,
    COUNT(DISTINCT CASE WHEN hour >= :today THEN session_id END) AS today_sessions,
    SUM(CASE WHEN is_counted AND hour >= :today THEN unpriced_shown ELSE 0 END) AS today_unpriced
FROM ACTIVITY_ROLLUP
WHERE customer IN (:customers) AND hour >= :week AND {allowed}
GROUP BY GROUPING SETS ((customer, project_path), (customer))
HAVING SUM(activities) > 0
