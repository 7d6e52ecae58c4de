-- Artifacts (results kept for an answer), holds that forbid deleting, and what clean-up did.
-- Takes: nothing. Gives: ARTIFACTS, LEGAL_HOLD, ARTIFACT_CONTENT_DUE, ARTIFACT_CLEANUPS, where they are missing.
-- Never edited once released.

-- One row per artifact; its content is where storage says, or in sample_rows when that is all of it.
CREATE TABLE IF NOT EXISTS ARTIFACTS (
    artifact_id VARCHAR NOT NULL,
    created_ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL,
    org_id VARCHAR,
    artifact_type VARCHAR NOT NULL,
    artifact_subtype VARCHAR,
    row_count BIGINT,
    column_count INTEGER,
    sample_rows VARIANT,
    content_schema VARIANT,
    row_group_bytes VARIANT,
    total_bytes BIGINT,
    s3_url VARCHAR,
    s3_bucket VARCHAR,
    s3_key VARCHAR,
    storage_class VARCHAR,
    size_bytes BIGINT,
    storage_cost_usd DOUBLE,
    source_query_id VARCHAR,
    source_query_tag VARCHAR,
    source_warehouse VARCHAR,
    execution_time_ms BIGINT,
    metadata VARIANT,
    expires_at TIMESTAMP_NTZ,
    is_pinned BOOLEAN,
    access_count BIGINT,
    last_accessed_at TIMESTAMP_NTZ,
    version INTEGER,
    parent_artifact_id VARCHAR
)
CLUSTER BY (customer, created_ts);

-- What must not be deleted, whatever its age: one artifact, or all of a customer. A hold ends when it is released.
CREATE TABLE IF NOT EXISTS LEGAL_HOLD (
    hold_id VARCHAR NOT NULL,
    customer VARCHAR,
    artifact_id VARCHAR,
    reason VARCHAR NOT NULL,
    placed_by VARCHAR,
    placed_at TIMESTAMP_NTZ NOT NULL,
    released_at TIMESTAMP_NTZ
);

-- Content whose artifact is gone: whoever keeps the content deletes it, and then the row.
CREATE TABLE IF NOT EXISTS ARTIFACT_CONTENT_DUE (
    artifact_id VARCHAR NOT NULL,
    s3_url VARCHAR,
    s3_bucket VARCHAR,
    s3_key VARCHAR,
    due_at TIMESTAMP_NTZ NOT NULL
);

-- One row for each run of clean_artifacts: of those that had expired, how many went, and why others stayed.
CREATE TABLE IF NOT EXISTS ARTIFACT_CLEANUPS (
    ran_at TIMESTAMP_NTZ NOT NULL,
    deleted BIGINT NOT NULL,
    deleted_bytes BIGINT NOT NULL,
    kept_pinned BIGINT NOT NULL,
    kept_on_hold BIGINT NOT NULL
);
