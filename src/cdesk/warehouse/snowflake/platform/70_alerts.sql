-- What somebody should hear of: tasks that fall behind, tasks that fail, a day that has become dear.
-- Takes: CLAUDE_STREAM_V2, V_COST_DAILY; CDESK_TASKS; EXECUTE ALERT (90_grants.sql).
-- Gives: ALERT_RAISED, the alerts CDESK_LAG, CDESK_FAILED_TASKS and CDESK_BUDGET, started. Each says a thing once in an hour, the
-- budget once in a day. To have them sent, see docs/snowflake.md.
CREATE TABLE IF NOT EXISTS ALERT_RAISED (
    raised_at TIMESTAMP_NTZ NOT NULL,
    alert VARCHAR NOT NULL,
    message VARCHAR NOT NULL
);

-- Rows that came more than ten minutes ago and that the task number_occurrences has not come to.
CREATE OR REPLACE ALERT CDESK_LAG
WAREHOUSE = CDESK_TASKS
SCHEDULE = '5 MINUTE'
IF (EXISTS (
    SELECT 1
    FROM CLAUDE_STREAM_V2
    WHERE
        activity_occurrence IS NULL
        AND _ingested_at > DATEADD(DAY, -1, SYSDATE())
        AND _ingested_at < DATEADD(MINUTE, -10, SYSDATE())
        AND NOT EXISTS (
            SELECT 1 FROM ALERT_RAISED
            WHERE alert = 'CDESK_LAG' AND raised_at > DATEADD(HOUR, -1, SYSDATE())
        )
))
THEN
INSERT INTO ALERT_RAISED (raised_at, alert, message)
SELECT SYSDATE(), 'CDESK_LAG', 'tasks are more than ten minutes behind: see TASK_HISTORY()';

CREATE OR REPLACE ALERT CDESK_FAILED_TASKS
WAREHOUSE = CDESK_TASKS
SCHEDULE = '15 MINUTE'
IF (EXISTS (
    SELECT 1
    FROM TABLE(INFORMATION_SCHEMA.TASK_HISTORY(
        SCHEDULED_TIME_RANGE_START => DATEADD('minute', -20, CURRENT_TIMESTAMP()), ERROR_ONLY => TRUE
    ))
    WHERE
        name LIKE 'CDESK_%'
        AND NOT EXISTS (
            SELECT 1 FROM ALERT_RAISED
            WHERE alert = 'CDESK_FAILED_TASKS' AND raised_at > DATEADD(HOUR, -1, SYSDATE())
        )
))
THEN
INSERT INTO ALERT_RAISED (raised_at, alert, message)
SELECT SYSDATE(), 'CDESK_FAILED_TASKS', 'a task has failed: see TASK_HISTORY() and CDESK.EVENTS.CDESK_EVENTS';

-- Four fifths of the 33 credits that 03_monitors.sql gives a day.
CREATE OR REPLACE ALERT CDESK_BUDGET
WAREHOUSE = CDESK_TASKS
SCHEDULE = '60 MINUTE'
IF (EXISTS (
    SELECT 1
    FROM V_COST_DAILY
    WHERE
        day = TO_DATE(SYSDATE())
        AND NOT EXISTS (
            SELECT 1 FROM ALERT_RAISED
            WHERE alert = 'CDESK_BUDGET' AND TO_DATE(raised_at) = TO_DATE(SYSDATE())
        )
    HAVING SUM(credits) > 26.4
))
THEN
INSERT INTO ALERT_RAISED (raised_at, alert, message)
SELECT SYSDATE(), 'CDESK_BUDGET', 'more than four fifths of the credits of today are used: see V_COST_DAILY';

ALTER ALERT CDESK_LAG RESUME;
ALTER ALERT CDESK_FAILED_TASKS RESUME;
ALTER ALERT CDESK_BUDGET RESUME;
