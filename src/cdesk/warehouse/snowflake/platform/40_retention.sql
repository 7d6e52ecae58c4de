-- How long rows are kept: activities 180 days, the query log 90; nothing that a legal hold is on.
-- Takes: CLAUDE_STREAM_V2, QUERY_HISTORY, LEGAL_HOLD; CDESK_TASKS. Gives: the task CDESK_RETENTION, started.
CREATE OR REPLACE TASK CDESK_RETENTION
WAREHOUSE = CDESK_TASKS
SCHEDULE = 'USING CRON 0 3 * * * UTC'
AS EXECUTE IMMEDIATE
$$
BEGIN
    BEGIN TRANSACTION;
    DELETE FROM CLAUDE_STREAM_V2
    WHERE
        ts < DATEADD(DAY, -180, SYSDATE())
        AND COALESCE(_told_customer, customer, '') NOT IN (
            SELECT customer FROM LEGAL_HOLD
            WHERE released_at IS NULL AND artifact_id IS NULL AND customer IS NOT NULL
        )
        AND COALESCE(customer, '') NOT IN (
            SELECT customer FROM LEGAL_HOLD
            WHERE released_at IS NULL AND artifact_id IS NULL AND customer IS NOT NULL
        );
    DELETE FROM QUERY_HISTORY WHERE start_time < DATEADD(DAY, -90, SYSDATE());
    COMMIT;
EXCEPTION
    WHEN OTHER THEN
        ROLLBACK;
        RAISE;
END;
$$;
ALTER TASK CDESK_RETENTION RESUME;
