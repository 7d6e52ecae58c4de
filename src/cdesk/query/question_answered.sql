-- Records an answer.
-- Takes: what it gives back. Gives: nothing.
INSERT INTO QUESTION_ANSWERS (
    query_id, question_key, question, question_version, checksum, parameters, bound, role, asked_by, asked_at,
    data_version, data_as_of, sql_text, answer_columns, answer_rows, row_count, estimate, sampled, artifact_id
) VALUES (
    :query_id, :question_key, :question, :question_version, :checksum, :parameters, :bound, :role, :asked_by, :asked_at,
    :data_version, :data_as_of, :sql_text, :answer_columns, :answer_rows, :row_count, :estimate, :sample, :artifact_id
)
