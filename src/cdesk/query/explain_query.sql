-- One query of the log, by its tag or its id; of several runs the latest.
-- Takes: :tag, :id. Gives: what was asked, when, and how it went.
SELECT
    query_id,
    query_text,
    start_time,
    total_elapsed_time AS elapsed_ms,
    rows_produced,
    execution_status,
    error_message
FROM QUERY_HISTORY
WHERE query_tag = :tag OR query_id = :id
ORDER BY start_time DESC
LIMIT 1
