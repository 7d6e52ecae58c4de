-- What it costs, from Snowflake's own meters.
-- Takes: IMPORTED PRIVILEGES on SNOWFLAKE. Gives: V_COST_DAILY, V_COST_BY_TAG. Credits; days are UTC; up to some hours late.
CREATE OR REPLACE VIEW V_COST_DAILY COPY GRANTS AS
SELECT
    TO_DATE(start_time) AS day,
    CASE warehouse_name
        WHEN 'CDESK_INGEST' THEN 'ingest'
        WHEN 'CDESK_TASKS' THEN 'tasks'
        WHEN 'CDESK_INTERACTIVE' THEN 'interactive'
        WHEN 'CDESK_BATCH' THEN 'batch'
    END AS workload,
    SUM(credits_used) AS credits,
    SUM(credits_used_compute) AS credits_compute
FROM SNOWFLAKE.ACCOUNT_USAGE.WAREHOUSE_METERING_HISTORY
WHERE warehouse_name IN ('CDESK_INGEST', 'CDESK_TASKS', 'CDESK_INTERACTIVE', 'CDESK_BATCH')
GROUP BY TO_DATE(start_time), warehouse_name;

CREATE OR REPLACE VIEW V_COST_BY_TAG COPY GRANTS AS
SELECT
    TO_DATE(start_time) AS day,
    query_tag,
    COUNT(*) AS statements,
    SUM(credits_attributed_compute) AS credits
FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_ATTRIBUTION_HISTORY
WHERE query_tag LIKE 'cdesk:%'
GROUP BY TO_DATE(start_time), query_tag;
