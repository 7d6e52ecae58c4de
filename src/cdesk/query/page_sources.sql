-- Who told us: activities by the set of sources that saw them, and when the newest came in.
-- Takes: :start. Gives: sources (names with commas), activities, newest, ingested_at.
SELECT
    _source AS sources,
    COUNT(*) AS activities,
    MAX(ts) AS newest,
    MAX(_ingested_at) AS ingested_at
FROM CLAUDE_STREAM_V2
WHERE ts >= :start
GROUP BY 1
