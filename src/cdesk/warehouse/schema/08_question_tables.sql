-- What was asked and answered, and who may ask what: docs/ask.md.
-- Takes: nothing. Gives: QUESTION_ANSWERS, QUESTION_DECISIONS, where they are missing.
-- Never edited once released.

-- One row for each run of a question. question_key: question, version, parameters and role, whatever the data was.
-- parameters, answer_columns, answer_rows, estimate, sampled: JSON text. row_count: of the whole answer.
CREATE TABLE IF NOT EXISTS QUESTION_ANSWERS (
    query_id VARCHAR NOT NULL,
    question_key VARCHAR NOT NULL,
    question VARCHAR NOT NULL,
    question_version INTEGER NOT NULL,
    checksum VARCHAR NOT NULL,
    parameters VARCHAR NOT NULL,
    bound VARCHAR NOT NULL,
    role VARCHAR NOT NULL,
    asked_by VARCHAR,
    asked_at TIMESTAMP_NTZ NOT NULL,
    data_version VARCHAR NOT NULL,
    data_as_of TIMESTAMP_NTZ,
    sql_text VARCHAR NOT NULL,
    answer_columns VARCHAR NOT NULL,
    answer_rows VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    estimate VARCHAR,
    sampled VARCHAR,
    artifact_id VARCHAR
);

-- What was decided about a question, in order; checksum is of the file that was looked at.
CREATE TABLE IF NOT EXISTS QUESTION_DECISIONS (
    number BIGINT NOT NULL,
    question VARCHAR NOT NULL,
    checksum VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    decided_by VARCHAR NOT NULL,
    decided_at TIMESTAMP_NTZ NOT NULL,
    reason VARCHAR
);
