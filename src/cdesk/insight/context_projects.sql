-- Where somebody worked last.
-- Takes: {rows_max}. Gives: customer, project_path, ts; the latest first.
SELECT customer, project_path, MAX(ts) AS ts
FROM CONTEXT_INPUTS
GROUP BY 1, 2
ORDER BY 3 DESC
LIMIT {rows_max}
