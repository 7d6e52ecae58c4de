-- The latest of each kind for some customers, the latest first.
-- Takes: :customers. Gives: customer, project_path, kind, key, ts, activity_id, session_id, is_open, detail (JSON text).
SELECT customer, project_path, kind, key, ts, activity_id, session_id, is_open, TO_JSON(detail) AS detail
FROM CONTEXT_INPUTS
WHERE customer IN (:customers)
ORDER BY ts DESC, activity_id DESC
