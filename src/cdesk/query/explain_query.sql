-- One query of the log, by its tag or its id; of several runs the latest. With what was asked, where it was a question.
-- Takes: :tag, :id. Gives: what was asked by whom, when, of which data, and how it went.
SELECT
    runs.query_id,
    asked.question,
    asked.question_version,
    asked.parameters,
    COALESCE(runs.role_name, asked.role) AS role,
    COALESCE(runs.user_name, asked.asked_by) AS asked_by,
    runs.query_text,
    runs.start_time,
    asked.data_as_of,
    asked.data_version,
    runs.total_elapsed_time AS elapsed_ms,
    runs.bytes_scanned,
    runs.credits_used_cloud_services AS credits,
    runs.rows_produced,
    runs.execution_status,
    runs.error_message,
    asked.sampled AS sample,
    asked.artifact_id
FROM QUERY_HISTORY AS runs
LEFT JOIN QUESTION_ANSWERS AS asked ON runs.query_id = asked.query_id
WHERE runs.query_tag = :tag OR runs.query_id = :id
ORDER BY runs.start_time DESC, asked.asked_at DESC
LIMIT 1
