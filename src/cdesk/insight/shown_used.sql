-- What today and seven days came to, as a person can ask it again; it stands in the query log and is not run here.
-- Takes: {where}, {today}.
SELECT
    SUM(CASE WHEN is_counted THEN cost_usd END) AS week_cost_usd,
    SUM(CASE WHEN is_counted THEN tokens_shown END) AS week_tokens,
    COUNT(DISTINCT session_id) AS week_sessions,
    SUM(CASE WHEN is_counted AND hour >= {today} THEN cost_usd END) AS today_cost_usd,
    SUM(CASE WHEN is_counted AND hour >= {today} THEN tokens_shown END) AS today_tokens,
    COUNT(DISTINCT CASE WHEN hour >= {today} THEN session_id END) AS today_sessions
FROM ACTIVITY_ROLLUP
WHERE {where}
