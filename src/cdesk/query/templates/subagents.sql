-- question: subagents
-- title: What subagents were used for
-- description: Subagents that ended, by type, the longest work in all first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: agent_type text: as it was asked for
-- column: runs integer in runs: that ended
-- column: tool_uses integer in calls: in these runs
-- column: tokens integer in tokens: of these runs, as they say
-- column: average_s number in s: a run takes
-- column: total_s number in s: in all
-- column: last_at time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars agent_type total_s
-- reads: stream

SELECT
    COALESCE(agent_type, 'unknown') AS agent_type,
    COUNT(*) AS runs,
    SUM(total_tool_uses)::BIGINT AS tool_uses,
    SUM(total_tokens)::BIGINT AS tokens,
    ROUND(AVG(duration_ms) / 1000, 1) AS average_s,
    ROUND(SUM(duration_ms) / 1000, 1) AS total_s,
    MAX(ts) AS last_at
FROM VW_SESSION_EVENTS
WHERE
    activity = 'subagent_completed' AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 6 DESC NULLS LAST, 1;

SELECT activity_id
FROM VW_SESSION_EVENTS
WHERE
    activity = 'subagent_completed' AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND COALESCE(agent_type, 'unknown') = CAST(:row_agent_type AS VARCHAR)
ORDER BY ts DESC, activity_id
LIMIT 1000
