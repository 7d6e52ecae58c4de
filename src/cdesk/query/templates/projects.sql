-- question: projects
-- title: What was done in each project
-- description: Sessions, calls, failures and dollars by project, the busiest first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- column: project text: its folder
-- column: people integer in people: who worked in it
-- column: sessions integer in sessions: in it
-- column: prompts integer in prompts: of people
-- column: tool_calls integer in calls: of Claude
-- column: files_changed integer in changes: of files
-- column: errors integer in failures: of tools and requests
-- column: cost_usd number in USD: null where no price is known
-- column: last_active time: UTC, an hour
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars project cost_usd
-- reads: rollups

SELECT
    project_path AS project,
    COUNT(DISTINCT customer) AS people,
    COUNT(DISTINCT session_id) AS sessions,
    SUM(IFF(activity = 'user_asked', activities, 0))::BIGINT AS prompts,
    SUM(IFF(activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution'), activities, 0))::BIGINT AS tool_calls,
    SUM(IFF(
        activity IN ('file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed'), activities, 0
    ))::BIGINT AS files_changed,
    SUM(errors)::BIGINT AS errors,
    IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd,
    MAX(hour) AS last_active
FROM ACTIVITY_ROLLUP
WHERE hour >= :since AND project_path IS NOT NULL
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY SUM(activities) DESC, 1
LIMIT 200;

SELECT activity_id
FROM V_ROLLUP_ROWS
WHERE
    ts >= :since AND project_path = CAST(:row_project AS VARCHAR)
    AND (:column <> 'prompts' OR activity = 'user_asked')
    AND (
        :column <> 'tool_calls'
        OR activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
    )
    AND (
        :column <> 'files_changed'
        OR activity IN ('file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed')
    )
    AND (:column <> 'cost_usd' OR priced > 0)
ORDER BY ts DESC, activity_id
LIMIT 1000
