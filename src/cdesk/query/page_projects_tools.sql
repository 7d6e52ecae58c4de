-- What tools were called in each project.
-- Takes: :start. Gives: project, calls, failed.
SELECT project_path AS project, COUNT(*) AS calls, COUNT(CASE WHEN NOT success THEN 1 END) AS failed
FROM VW_TOOL_EVENTS
WHERE ts >= :start
GROUP BY 1
