-- The latest things that went wrong for Claude: tool calls and API requests.
-- Takes: :since, :rows_max. Gives: activity_id, ts, session_id, project, source, what, error_type, message.
SELECT activity_id, ts, _session_id, project_path, source, what, error_type, message
FROM (
    SELECT
        activity_id, ts, _session_id, project_path, 'tool' AS source, tool_name_normalized AS what, error_type,
        error_message AS message
    FROM VW_TOOL_EVENTS
    WHERE NOT success AND ts >= :since
    UNION ALL
    SELECT
        activity_id, ts, _session_id, project_path, 'api' AS source, model AS what,
        COALESCE(error_type, CAST(status AS VARCHAR)) AS error_type, error_message AS message
    FROM VW_LLM_EVENTS
    WHERE activity = 'api_request_failed' AND ts >= :since
) AS failed
ORDER BY ts DESC, activity_id DESC
LIMIT {rows_max}
