-- Where some sessions begin and end.
-- Takes: {ids}, :since, :until, {hours} (conditions on ts: where to look). Gives: session_id, began_at, ended_at.
SELECT _session_id AS session_id, MIN(ts) AS began_at, MAX(ts) AS ended_at
FROM CLAUDE_STREAM_V2
WHERE _session_id IN ({ids}) AND ts >= :since AND ts < :until AND ({hours})
GROUP BY 1
