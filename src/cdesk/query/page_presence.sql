-- Sessions and activities of each period.
-- Takes: {period}, :since. Gives: period, sessions, activities.
SELECT
    {period} AS period,
    COUNT(DISTINCT _session_id) AS sessions,
    COUNT(*) AS activities
FROM CLAUDE_STREAM_V2
WHERE ts >= :since
GROUP BY 1
