-- The latest times Claude was given what is known: by its hooks, or because it asked for it.
-- Takes: :customer, :project (null: any), :since, {rows_max}.
-- Gives: activity_id, ts, activity, session, project, features (JSON text).
SELECT
    activity_id,
    ts,
    activity,
    _session_id AS session,
    _project_path AS project,
    TO_JSON(feature_json)::VARCHAR AS features
FROM CLAUDE_STREAM_V2
WHERE
    ts >= :since
    AND customer = :customer
    AND (:project IS NULL OR _project_path = :project)
    AND (
        activity = 'context_hydrated'
        OR (
            activity = 'mcp_called'
            AND feature_json.method::VARCHAR = 'get_context'
            AND COALESCE(feature_json.success::VARCHAR, 'true') = 'true'
        )
    )
ORDER BY ts DESC, activity_id DESC
LIMIT {rows_max}
