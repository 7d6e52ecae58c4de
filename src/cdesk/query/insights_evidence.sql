-- Activities by their ids.
-- Takes: :ids (UUID texts). Gives: activity_id, ts, customer, activity, session_id, link, features (JSON text).
SELECT activity_id::VARCHAR, ts, customer, activity, _session_id, link, TO_JSON(feature_json)::VARCHAR
FROM CLAUDE_STREAM_V2
WHERE activity_id IN (SELECT UNNEST(:ids::UUID[]))
ORDER BY ts, activity_id
