-- Where to look for what some sessions are about: the first and the last of each telling activity.
-- Takes: {ids}, {activities}, :since, :until. Gives: session_id, activity, first_id, last_id, last_ts.
SELECT
    _session_id AS session_id,
    activity,
    MIN_BY(activity_id, ts) AS first_id,
    MAX_BY(activity_id, ts) AS last_id,
    MAX(ts) AS last_ts
FROM CLAUDE_STREAM_V2
WHERE _session_id IN ({ids}) AND ts >= :since AND ts <= :until AND activity IN ({activities})
GROUP BY 1, 2
