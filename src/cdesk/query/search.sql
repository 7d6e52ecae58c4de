-- Activities of a span of time, newest first.
-- Takes: :since, :until, {where} (conditions on the stream), {rows_max}.
-- Gives: activity_id, ts, activity, session, project, cost_usd, features (JSON text).
SELECT
    activity_id,
    ts,
    activity,
    _session_id AS session,
    _project_path AS project,
    revenue_impact AS cost_usd,
    TO_JSON(feature_json) AS features
FROM CLAUDE_STREAM_V2
WHERE ts >= :since AND ts < :until AND {where}
ORDER BY ts DESC, activity_id DESC
LIMIT {rows_max}
