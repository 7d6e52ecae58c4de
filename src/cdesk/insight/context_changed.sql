-- Whose rows have changed, and where they worked.
-- Takes: {changes}, a stream over CLAUDE_STREAM_V2. Gives: customer, project_path.
SELECT DISTINCT customer, _project_path
FROM {changes}
WHERE customer IS NOT NULL
