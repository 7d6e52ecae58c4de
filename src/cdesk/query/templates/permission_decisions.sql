-- question: permission_decisions
-- title: What was allowed and what was not
-- description: Decisions about tool calls by tool, decision and who decided, the most frequent first. A call that a person refused counts as rejected, also where nobody recorded the decision itself.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: tool text: its name
-- column: decision text: as it was recorded
-- column: decided_by text: a person, a rule, a hook, …
-- column: calls integer in calls: so decided
-- column: last_at time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars tool calls by decision
-- reads: stream

SELECT
    tool_name_normalized AS tool,
    COALESCE(permission_decision, 'reject') AS decision,
    COALESCE(permission_source, IFF(permission_decision IS NULL, 'user', 'unknown')) AS decided_by,
    COUNT(*) AS calls,
    MAX(ts) AS last_at
FROM VW_TOOL_EVENTS
WHERE
    (permission_decision IS NOT NULL OR error_type = 'user-rejected') AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1, 2, 3
ORDER BY 4 DESC, 1, 2, 3;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE
    (permission_decision IS NOT NULL OR error_type = 'user-rejected') AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
    AND COALESCE(permission_decision, 'reject') = CAST(:row_decision AS VARCHAR)
    AND COALESCE(permission_source, IFF(permission_decision IS NULL, 'user', 'unknown')) = CAST(:row_decided_by AS VARCHAR)
ORDER BY ts DESC, activity_id
LIMIT 1000
