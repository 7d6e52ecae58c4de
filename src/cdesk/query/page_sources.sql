-- Who told us: activities by the set of sources that saw them, and when the newest happened.
-- Takes: :start. Gives: sources (names with commas), activities, newest.
SELECT _source AS sources, COUNT(*) AS activities, MAX(ts) AS newest
FROM CLAUDE_STREAM_V2
WHERE ts >= :start
GROUP BY 1
