-- Tasks that do not run until somebody resumes them.
-- Takes: nothing. Gives: suspended_by, tasks.
SELECT
    suspended_by,
    COUNT(*) AS tasks
FROM TASK_STATE
WHERE suspended_by IS NOT NULL
GROUP BY suspended_by
