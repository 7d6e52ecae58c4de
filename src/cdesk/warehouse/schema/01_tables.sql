-- The tables everything else stands on.
-- Takes: nothing. Gives: CLAUDE_STREAM_V2, QUERY_HISTORY, ACTIVITY_SCHEMA_VERSION, where they are missing.
-- Never edited once released: a later change is a later file with ALTER TABLE … ADD COLUMN IF NOT EXISTS.

-- The ActivitySchema v2.0 stream, one row per fact; columns with a leading underscore are ours.
-- No primary key: one writer merges on activity_id. Times are UTC.
CREATE TABLE IF NOT EXISTS CLAUDE_STREAM_V2 (
    activity_id VARCHAR(36) NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    anonymous_customer_id VARCHAR,
    activity VARCHAR NOT NULL,
    feature_json VARIANT,
    revenue_impact DOUBLE,
    link VARCHAR,
    activity_occurrence INTEGER,
    activity_repeated_at TIMESTAMP_NTZ,
    _org_id VARCHAR,
    _session_id VARCHAR,
    _source VARCHAR,
    _schema_version INTEGER,
    _ingested_at TIMESTAMP_NTZ,
    _query_tag VARCHAR,
    _identity VARCHAR,
    _also_id VARCHAR(36),
    _also_id_2 VARCHAR(36),
    _observations VARCHAR,
    -- what reports sum over every day, also as columns of its own type
    _project_path VARCHAR,
    _model VARCHAR,
    _speed VARCHAR,
    _is_counted BOOLEAN,
    _prompt_tokens BIGINT,
    _completion_tokens BIGINT,
    _cache_creation_5m_tokens BIGINT,
    _cache_creation_1h_tokens BIGINT,
    _cache_read_tokens BIGINT,
    -- see 02_changes.sql
    _seq BIGINT DEFAULT 0,
    _first_seq BIGINT DEFAULT 0
)
CLUSTER BY (TO_DATE(ts), activity);

-- The query log, under the column names of Snowflake's QUERY_HISTORY. Times in UTC, durations in ms, sizes in bytes.
CREATE TABLE IF NOT EXISTS QUERY_HISTORY (
    query_id VARCHAR NOT NULL,
    query_tag VARCHAR,
    query_text VARCHAR,
    database_name VARCHAR,
    schema_name VARCHAR,
    warehouse_name VARCHAR,
    role_name VARCHAR,
    user_name VARCHAR,
    start_time TIMESTAMP_NTZ,
    end_time TIMESTAMP_NTZ,
    execution_status VARCHAR,
    error_code VARCHAR,
    error_message VARCHAR,
    total_elapsed_time DOUBLE,
    bytes_scanned BIGINT,
    rows_produced BIGINT,
    credits_used_cloud_services DOUBLE,
    execution_time DOUBLE,
    compilation_time DOUBLE
);

-- What was deployed and migrated, and when. For a schema file migration_name is the file's name and the checksums
-- are SHA-256 in hex: before as it was last applied (null the first time), after as it is now.
CREATE TABLE IF NOT EXISTS ACTIVITY_SCHEMA_VERSION (
    version_id INTEGER NOT NULL,
    git_sha VARCHAR,
    migration_name VARCHAR NOT NULL,
    applied_at TIMESTAMP_NTZ NOT NULL,
    applied_by VARCHAR,
    rollback_sql VARCHAR,
    checksum_before VARCHAR,
    checksum_after VARCHAR,
    status VARCHAR NOT NULL
);
