-- What tools some sessions called.
-- Takes: {ids}, :since, :until. Gives: session_id, calls, failed.
SELECT _session_id AS session_id, COUNT(*) AS calls, COUNT(CASE WHEN NOT success THEN 1 END) AS failed
FROM VW_TOOL_EVENTS
WHERE _session_id IN ({ids}) AND ts >= :since AND ts <= :until
GROUP BY 1
