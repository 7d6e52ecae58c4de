-- One session, activity by activity.
-- Takes: :session, :since, :until (its extent), {rows_max}, {offset}.
-- Gives: activity_id, ts, activity, features (JSON text), cost, sources, link.
SELECT
    activity_id,
    ts,
    activity,
    TO_JSON(feature_json) AS features,
    revenue_impact AS cost,
    _source AS sources,
    link
FROM CLAUDE_STREAM_V2
WHERE _session_id = :session AND ts >= :since AND ts <= :until
ORDER BY ts, activity_id
LIMIT {rows_max} OFFSET {offset}
