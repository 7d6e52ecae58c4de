-- Models and tools of the week by project.
-- Takes: :customers, :week (UTC), {allowed}: which projects. Gives: customer, project_path, kind (model, tool), name,
-- calls, failed, cost_usd (NULL: nothing was priced).
SELECT
    customer,
    project_path,
    CASE WHEN is_counted THEN 'model' ELSE 'tool' END AS kind,
    name,
    SUM(activities) AS calls,
    SUM(CASE WHEN NOT is_success THEN activities ELSE 0 END) AS failed,
    SUM(CASE WHEN priced > 0 THEN cost_usd END) AS cost_usd
FROM ACTIVITY_ROLLUP
WHERE
    customer IN (:customers) AND hour >= :week AND name IS NOT NULL AND {allowed}
    AND (
        is_counted
        OR (
            activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') AND is_success IS NOT NULL
        )
    )
GROUP BY 1, 2, 3, 4
HAVING SUM(activities) > 0
