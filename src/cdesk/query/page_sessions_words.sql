-- What some sessions are about: first and last row of each telling activity.
-- Takes: {ids}, :since, :until. Gives: session_id, activity, ts, features (JSON text), is_first, is_last.
SELECT session_id, activity, ts, TO_JSON(feature_json) AS features, from_start = 1 AS is_first, from_end = 1 AS is_last
FROM (
    SELECT
        _session_id AS session_id,
        activity,
        ts,
        feature_json,
        ROW_NUMBER() OVER (PARTITION BY _session_id, activity ORDER BY ts, activity_id) AS from_start,
        ROW_NUMBER() OVER (PARTITION BY _session_id, activity ORDER BY ts DESC, activity_id DESC) AS from_end
    FROM CLAUDE_STREAM_V2
    WHERE
        _session_id IN ({ids}) AND ts >= :since AND ts <= :until
        AND activity IN ({activities})
) AS told
WHERE from_start = 1 OR from_end = 1
