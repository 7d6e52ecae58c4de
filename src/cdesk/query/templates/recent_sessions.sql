-- question: recent_sessions
-- title: The sessions of late
-- description: Sessions with what was asked, called and spent in them, the latest first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: session text: its id
-- column: project text: its folder
-- column: began time: UTC
-- column: ended time: its last activity, UTC
-- column: prompts integer in prompts: of the person
-- column: tool_calls integer in calls: of Claude
-- column: failed_calls integer in calls: of these
-- column: cost_usd number in USD: null where no price is known
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 1 min
-- reads: stream

SELECT
    session_id AS session,
    MIN(project_path) AS project,
    MIN(ts) AS began,
    MAX(ts) AS ended,
    SUM(IFF(activity = 'user_asked', activities, 0))::BIGINT AS prompts,
    SUM(IFF(activity = 'tool_called', activities, 0))::BIGINT AS tool_calls,
    SUM(IFF(activity = 'tool_called' AND NOT is_success, activities, 0))::BIGINT AS failed_calls,
    IFF(
        SUM(IFF(is_counted, priced, 0)) > 0, ROUND(SUM(IFF(activity = 'claude_responded' AND is_counted, cost_usd, 0)), 9),
        NULL
    ) AS cost_usd
FROM V_ROLLUP_ROWS
WHERE
    session_id IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 4 DESC, 1
LIMIT 50;

SELECT activity_id
FROM V_ROLLUP_ROWS
WHERE
    session_id = CAST(:row_session AS VARCHAR) AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND (:column <> 'prompts' OR activity = 'user_asked')
    AND (:column NOT IN ('tool_calls', 'failed_calls') OR activity = 'tool_called')
    AND (:column <> 'failed_calls' OR NOT is_success)
    AND (:column <> 'cost_usd' OR is_counted)
ORDER BY ts DESC, activity_id
LIMIT 1000
