-- All that is known of some activities.
-- Takes: {ids}, :since, :until. Gives: activity_id, features (JSON text).
SELECT activity_id, TO_JSON(feature_json) AS features
FROM CLAUDE_STREAM_V2
WHERE activity_id IN ({ids}) AND ts >= :since AND ts <= :until
