-- question: executive_summary
-- title: The last 30 days in one row
-- description: People, sessions, tools, errors, tokens and dollars of the last 30 days.
-- version: 1
-- column: report_date day: UTC
-- column: people integer in people: with any activity
-- column: sessions integer in sessions: with any activity
-- column: days_active integer in days: of these 30
-- column: projects integer in projects: worked in
-- column: activities integer in activities: of all kinds
-- column: tool_calls integer in calls: of Claude
-- column: file_operations integer in operations: reads and changes
-- column: errors integer in failures: of all kinds
-- column: responses integer in responses: of the model
-- column: unpriced_responses integer in responses: whose price nobody knows
-- column: tokens integer in tokens: of all kinds
-- column: cost_usd number in USD: null where no price is known
-- column: last_activity time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: table
-- reads: rollups

SELECT
    CAST(:now AS DATE) AS report_date,
    unique_users AS people,
    total_sessions AS sessions,
    days_active,
    projects_touched AS projects,
    total_activities AS activities,
    tool_executions AS tool_calls,
    file_operations,
    errors_encountered AS errors,
    responses,
    unpriced_responses,
    total_tokens_consumed AS tokens,
    ROUND(total_cost_usd, 9) AS cost_usd,
    last_activity
FROM V_EXECUTIVE_SUMMARY
