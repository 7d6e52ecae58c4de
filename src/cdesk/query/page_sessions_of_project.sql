-- Sessions that worked in one project.
-- Takes: :project. Gives: session_id.
SELECT DISTINCT _session_id AS session_id
FROM CLAUDE_STREAM_V2
WHERE _project_path = :project AND _session_id IS NOT NULL
