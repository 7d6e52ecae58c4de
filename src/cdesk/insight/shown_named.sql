-- Models and tools of seven days, as a person can ask it again; it stands in the query log and is not run here.
-- Takes: {where}.
SELECT
    activity,
    name,
    project_path,
    SUM(activities) AS calls,
    SUM(CASE WHEN NOT is_success THEN activities ELSE 0 END) AS failed,
    SUM(CASE WHEN is_counted THEN cost_usd END) AS cost_usd
FROM ACTIVITY_ROLLUP
WHERE {where} AND name IS NOT NULL AND (is_counted OR is_success IS NOT NULL)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
