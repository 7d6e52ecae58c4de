-- Where some customers worked this week.
-- Takes: :customers, :week (UTC). Gives: project_path.
SELECT DISTINCT project_path
FROM ACTIVITY_ROLLUP
WHERE customer IN (:customers) AND hour >= :week AND project_path IS NOT NULL
