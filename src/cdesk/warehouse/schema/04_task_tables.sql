-- What is known of tasks: how each stands, and its runs.
-- Takes: nothing. Gives: TASK_STATE, TASK_HISTORY, where they are missing.
-- Never edited once released.

-- One row for each task. state: started, suspended; suspended_by: failures, request. schedule: changes, or cron with
-- its time zone. reads and writes: names of streams and tables, separated by commas. checksum: SHA-256 of its file, hex;
-- when that changes, failures are forgotten. Times are UTC.
CREATE TABLE IF NOT EXISTS TASK_STATE (
    name VARCHAR NOT NULL,
    meaning VARCHAR,
    schedule VARCHAR NOT NULL,
    fresh_seconds DOUBLE,
    reads VARCHAR,
    writes VARCHAR,
    state VARCHAR NOT NULL,
    suspended_by VARCHAR,
    failures_in_a_row INTEGER NOT NULL,
    last_run_state VARCHAR,
    last_scheduled_time TIMESTAMP_NTZ,
    last_started_time TIMESTAMP_NTZ,
    last_completed_time TIMESTAMP_NTZ,
    last_error VARCHAR,
    checksum VARCHAR NOT NULL,
    registered_at TIMESTAMP_NTZ NOT NULL
);

-- Runs, under the column names of Snowflake's TASK_HISTORY: state SUCCEEDED or FAILED, scheduled_from SCHEDULE, TRIGGER
-- or EXECUTE TASK. A wake without data is no run. The last thousand of each task are kept. Times are UTC.
CREATE TABLE IF NOT EXISTS TASK_HISTORY (
    query_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    database_name VARCHAR,
    schema_name VARCHAR,
    state VARCHAR NOT NULL,
    error_code VARCHAR,
    error_message VARCHAR,
    scheduled_time TIMESTAMP_NTZ NOT NULL,
    query_start_time TIMESTAMP_NTZ NOT NULL,
    completed_time TIMESTAMP_NTZ NOT NULL,
    scheduled_from VARCHAR,
    attempt_number INTEGER,
    rows_changed BIGINT,
    elapsed_ms DOUBLE
);
