-- How far the stream reaches.
-- Takes: nothing. Gives: first, newest, activities.
SELECT MIN(ts) AS first, MAX(ts) AS newest, COUNT(*) AS activities
FROM CLAUDE_STREAM_V2
