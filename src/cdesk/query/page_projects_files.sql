-- What was changed in each project.
-- Takes: :start. Gives: project, files, added, removed.
SELECT
    project_path AS project,
    COUNT(DISTINCT file_path) AS files,
    SUM(lines_added) AS added,
    SUM(lines_removed) AS removed
FROM VW_FILE_EVENTS
WHERE activity <> 'file_read' AND (success OR success IS NULL) AND ts >= :start
GROUP BY 1
