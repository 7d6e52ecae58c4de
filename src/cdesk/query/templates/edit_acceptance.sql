-- question: edit_acceptance
-- title: How many of Claude's edits are kept
-- description: Calls of tools that change files, by tool: those that went through, those that people refused, and those that they changed.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: tool text: its name
-- column: edits integer in calls: that ended
-- column: accepted integer in calls: that went through
-- column: rejected integer in calls: that a person refused
-- column: failed integer in calls: for another reason
-- column: acceptance_pct number in percent: accepted, of accepted and rejected
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars tool acceptance_pct
-- reads: stream

SELECT
    tool_name_normalized AS tool,
    COUNT(*) AS edits,
    COUNT_IF(success) AS accepted,
    COUNT_IF(
        NOT success AND (COALESCE(error_type, '') = 'user-rejected' OR COALESCE(permission_decision, '') = 'reject')
    ) AS rejected,
    COUNT_IF(NOT success AND NOT (
        COALESCE(error_type, '') = 'user-rejected' OR COALESCE(permission_decision, '') = 'reject'
    )) AS failed,
    ROUND(COUNT_IF(success) * 100.0 / NULLIF(COUNT_IF(
        success OR COALESCE(error_type, '') = 'user-rejected' OR COALESCE(permission_decision, '') = 'reject'
    ), 0), 1) AS acceptance_pct
FROM VW_TOOL_EVENTS
WHERE
    tool_name_normalized IN ('Edit', 'Write', 'MultiEdit', 'NotebookEdit') AND success IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
ORDER BY 2 DESC, 1;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE
    success IS NOT NULL AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
    AND (:column <> 'accepted' OR success)
    AND (:column NOT IN ('rejected', 'failed') OR NOT success)
    AND (:column NOT IN ('rejected', 'failed') OR (:column = 'rejected') = (
        COALESCE(error_type, '') = 'user-rejected' OR COALESCE(permission_decision, '') = 'reject'
    ))
ORDER BY ts DESC, activity_id
LIMIT 1000
