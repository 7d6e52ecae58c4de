-- What a context is made from that rollups and atoms do not say: the latest of a few kinds, for each customer.
-- Takes: nothing. Gives: CONTEXT_INPUTS, where it is missing.
-- Never edited once released.

-- kind: failure, file, session, thread, query. key: what there is one row of (the file, the session, the activity).
-- is_open: of threads, whether the session has not ended since. detail: what was said, long texts cut.
CREATE TABLE IF NOT EXISTS CONTEXT_INPUTS (
    customer VARCHAR NOT NULL,
    project_path VARCHAR,
    kind VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    activity_id VARCHAR(36) NOT NULL,
    session_id VARCHAR,
    link VARCHAR,
    is_open BOOLEAN,
    detail VARIANT
);
