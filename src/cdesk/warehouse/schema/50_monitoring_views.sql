-- How derived tables keep up: what is behind, and how the tasks are.
-- Takes: CLAUDE_STREAM_V2, INSIGHT_ATOMS, _STREAM_OFFSETS, TASK_STATE, TASK_HISTORY.
-- Gives: V_STREAM_LAG, V_TASK_MONITORING. Times are UTC.

-- V_STREAM_LAG: one row for each consumer of a change stream.
-- A record is a row that is new or changed; it is as old as the time it was written, not as what it tells of. Nothing
-- pending: no records, no lag. Counted by commit first, so that what is behind costs little however many follow it.
CREATE OR REPLACE VIEW V_STREAM_LAG COPY GRANTS AS
WITH commits AS (
    SELECT
        'CLAUDE_STREAM_V2' AS source_table,
        _seq,
        COUNT(*) AS records,
        MIN(_ingested_at) AS oldest,
        MAX(_ingested_at) AS newest
    FROM CLAUDE_STREAM_V2
    WHERE _seq > (SELECT MIN(seq) FROM _STREAM_OFFSETS WHERE source_table = 'CLAUDE_STREAM_V2')
    GROUP BY _seq
    UNION ALL
    SELECT
        'INSIGHT_ATOMS' AS source_table,
        _seq,
        COUNT(*) AS records,
        MIN(ts) AS oldest,
        MAX(ts) AS newest
    FROM INSIGHT_ATOMS
    WHERE _seq > (SELECT MIN(seq) FROM _STREAM_OFFSETS WHERE source_table = 'INSIGHT_ATOMS')
    GROUP BY _seq
),

behind AS (
    SELECT
        offsets.stream_name,
        offsets.source_table,
        COALESCE(SUM(commits.records), 0) AS pending_records,
        MIN(commits.oldest) AS oldest_record,
        MAX(commits.newest) AS newest_record
    FROM _STREAM_OFFSETS AS offsets
    LEFT JOIN commits ON offsets.source_table = commits.source_table AND commits._seq > offsets.seq
    GROUP BY offsets.stream_name, offsets.source_table
)

SELECT
    stream_name,
    source_table,
    pending_records::BIGINT AS pending_records,
    oldest_record,
    newest_record,
    GREATEST(COALESCE(DATEDIFF('millisecond', oldest_record, SYSDATE()), 0), 0) / 1000.0 AS max_lag_seconds,
    GREATEST(COALESCE(DATEDIFF('millisecond', newest_record, SYSDATE()), 0), 0) AS min_lag_ms
FROM behind;

-- V_TASK_MONITORING: one row for each task: how it stands, its last run, and its last 24 hours.
-- health_status: critical when it failed or was suspended for it, warning when somebody suspended it, unknown when it
-- has not run yet, else healthy.
CREATE OR REPLACE VIEW V_TASK_MONITORING COPY GRANTS AS
WITH runs AS (
    SELECT
        name,
        COUNT(*) AS runs_24h,
        COUNT_IF(state = 'FAILED') AS failures_24h,
        COALESCE(SUM(rows_changed), 0) AS rows_changed_24h,
        AVG(elapsed_ms) AS average_ms_24h,
        MAX(elapsed_ms) AS longest_ms_24h
    FROM TASK_HISTORY
    WHERE completed_time > DATEADD('hour', -24, SYSDATE())
    GROUP BY name
)

SELECT
    task.name AS task_name,
    task.last_run_state AS state,
    task.last_scheduled_time AS scheduled_time,
    task.last_completed_time AS completed_time,
    DATEDIFF('millisecond', task.last_started_time, task.last_completed_time) / 1000.0 AS duration_seconds,
    task.last_error AS error_message,
    CASE
        WHEN task.suspended_by = 'failures' OR task.last_run_state = 'FAILED' THEN 'critical'
        WHEN task.suspended_by IS NOT NULL THEN 'warning'
        WHEN task.last_run_state = 'SUCCEEDED' THEN 'healthy'
        ELSE 'unknown'
    END AS health_status,
    task.meaning,
    task.schedule,
    task.fresh_seconds,
    task.reads,
    task.writes,
    task.state AS task_state,
    task.suspended_by,
    task.failures_in_a_row,
    COALESCE(runs.runs_24h, 0) AS runs_24h,
    COALESCE(runs.failures_24h, 0) AS failures_24h,
    COALESCE(runs.rows_changed_24h, 0)::BIGINT AS rows_changed_24h,
    runs.average_ms_24h,
    runs.longest_ms_24h
FROM TASK_STATE AS task
LEFT JOIN runs ON task.name = runs.name;
