-- The last recorded answer with this id, or to this question: what is NULL does not matter.
-- Takes: :id, :key, :since (UTC). Gives: what was recorded.
SELECT
    query_id, question_key, question, question_version, checksum, parameters, bound, role, asked_by, asked_at,
    data_version, data_as_of, sql_text, answer_columns, answer_rows, row_count, estimate, sampled, artifact_id
FROM QUESTION_ANSWERS
WHERE
    (CAST(:id AS VARCHAR) IS NULL OR query_id = :id) AND (CAST(:key AS VARCHAR) IS NULL OR question_key = :key)
    AND asked_at >= :since
ORDER BY asked_at DESC
LIMIT 1
