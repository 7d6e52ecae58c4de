-- Brings Snowflake's own query log into ours, so that VW_SQL_EVENTS finds the run of every statement that bears our tag.
-- Takes: QUERY_HISTORY; IMPORTED PRIVILEGES on SNOWFLAKE. Gives: the tasks CDESK_QUERY_LOG and CDESK_QUERY_LOG_LATE, started.
-- INFORMATION_SCHEMA knows at once, but only the last 10,000 statements of the account, and forgets after a week;
-- ACCOUNT_USAGE knows everything, up to 45 minutes later: an hour without this task, or with too much in it, is caught up
-- with for a day. A run is one row by its query_id, whichever tells of it, however often. What has not ended yet bears an end
-- before its start, or none. A tag that many runs bear, as those of tasks, stays many rows here; VW_SQL_EVENTS takes the last.
CREATE OR REPLACE TASK CDESK_QUERY_LOG
WAREHOUSE = CDESK_TASKS
SCHEDULE = '5 MINUTE'
QUERY_TAG = 'cdesk:task:query_log', TIMEZONE = 'UTC'
AS
MERGE INTO QUERY_HISTORY AS t
USING (
    SELECT
        query_id, query_tag, query_text, database_name, schema_name, warehouse_name, role_name, user_name,
        start_time::TIMESTAMP_NTZ AS start_time, end_time::TIMESTAMP_NTZ AS end_time, execution_status,
        error_code::VARCHAR AS error_code, error_message, total_elapsed_time, bytes_scanned, rows_produced,
        credits_used_cloud_services, execution_time, compilation_time
    FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(
        END_TIME_RANGE_START => DATEADD('minute', -15, CURRENT_TIMESTAMP()), RESULT_LIMIT => 10000
    ))
    WHERE query_tag LIKE 'cdesk:%' AND end_time >= start_time
    QUALIFY ROW_NUMBER() OVER (PARTITION BY query_id ORDER BY end_time DESC) = 1
) AS s
    ON t.query_id = s.query_id
WHEN NOT MATCHED THEN INSERT (
    query_id, query_tag, query_text, database_name, schema_name, warehouse_name, role_name, user_name, start_time,
    end_time, execution_status, error_code, error_message, total_elapsed_time, bytes_scanned, rows_produced,
    credits_used_cloud_services, execution_time, compilation_time
) VALUES (
    s.query_id, s.query_tag, s.query_text, s.database_name, s.schema_name, s.warehouse_name, s.role_name, s.user_name,
    s.start_time, s.end_time, s.execution_status, s.error_code, s.error_message, s.total_elapsed_time, s.bytes_scanned,
    s.rows_produced, s.credits_used_cloud_services, s.execution_time, s.compilation_time
);
CREATE OR REPLACE TASK CDESK_QUERY_LOG_LATE
WAREHOUSE = CDESK_TASKS
SCHEDULE = 'USING CRON 30 * * * * UTC'
QUERY_TAG = 'cdesk:task:query_log_late', TIMEZONE = 'UTC'
AS
MERGE INTO QUERY_HISTORY AS t
USING (
    SELECT
        query_id, query_tag, query_text, database_name, schema_name, warehouse_name, role_name, user_name,
        start_time::TIMESTAMP_NTZ AS start_time, end_time::TIMESTAMP_NTZ AS end_time, execution_status,
        error_code::VARCHAR AS error_code, error_message, total_elapsed_time, bytes_scanned, rows_produced,
        credits_used_cloud_services, execution_time, compilation_time
    FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY
    WHERE query_tag LIKE 'cdesk:%' AND start_time > DATEADD('hour', -24, CURRENT_TIMESTAMP()) AND end_time >= start_time
    QUALIFY ROW_NUMBER() OVER (PARTITION BY query_id ORDER BY end_time DESC) = 1
) AS s
    ON t.query_id = s.query_id
WHEN MATCHED THEN UPDATE SET
    credits_used_cloud_services = s.credits_used_cloud_services,
    bytes_scanned = s.bytes_scanned
WHEN NOT MATCHED THEN INSERT (
    query_id, query_tag, query_text, database_name, schema_name, warehouse_name, role_name, user_name, start_time,
    end_time, execution_status, error_code, error_message, total_elapsed_time, bytes_scanned, rows_produced,
    credits_used_cloud_services, execution_time, compilation_time
) VALUES (
    s.query_id, s.query_tag, s.query_text, s.database_name, s.schema_name, s.warehouse_name, s.role_name, s.user_name,
    s.start_time, s.end_time, s.execution_status, s.error_code, s.error_message, s.total_elapsed_time, s.bytes_scanned,
    s.rows_produced, s.credits_used_cloud_services, s.execution_time, s.compilation_time
);
ALTER TASK CDESK_QUERY_LOG RESUME;
ALTER TASK CDESK_QUERY_LOG_LATE RESUME;
