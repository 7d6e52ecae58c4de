-- What it costs, from Snowflake's own meters. Credits; days are UTC.
-- Takes: IMPORTED PRIVILEGES on SNOWFLAKE; QUERY_HISTORY. Gives: V_COST_DAILY, V_COST_BY_TAG.

-- V_COST_DAILY: one row for each day and workload.
-- The meter tells of an hour up to three hours later, of its cloud services up to six. What ran since the newest hour that
-- it has told is estimated from the query log: each statement its time and the minute until the warehouse sleeps, an hour at
-- most, at an XSMALL's credit an hour; where the meter says more, the meter is right. credits = credits_metered +
-- credits_estimated. serverless: clustering and search optimization of our tables; Snowpipe Streaming is not here.
CREATE OR REPLACE VIEW V_COST_DAILY COPY GRANTS AS
WITH metered AS (
    SELECT
        warehouse_name,
        DATE_TRUNC('HOUR', CONVERT_TIMEZONE('UTC', start_time)::TIMESTAMP_NTZ) AS hour,
        credits_used
    FROM SNOWFLAKE.ACCOUNT_USAGE.WAREHOUSE_METERING_HISTORY
    WHERE warehouse_name IN ('CDESK_INGEST', 'CDESK_TASKS', 'CDESK_INTERACTIVE', 'CDESK_BATCH')
),

newest AS (
    SELECT COALESCE(MAX(hour), '1970-01-01'::TIMESTAMP_NTZ) AS hour
    FROM metered
),

ran AS (
    SELECT
        runs.warehouse_name,
        DATE_TRUNC('HOUR', runs.start_time) AS hour,
        LEAST(SUM(runs.total_elapsed_time / 1000.0 + 60), 3600) / 3600 AS credits_estimated
    FROM QUERY_HISTORY AS runs
    CROSS JOIN newest
    WHERE
        runs.warehouse_name IN ('CDESK_INGEST', 'CDESK_TASKS', 'CDESK_INTERACTIVE', 'CDESK_BATCH')
        AND runs.start_time >= newest.hour
        AND runs.start_time > DATEADD('HOUR', -24, SYSDATE())
    GROUP BY runs.warehouse_name, DATE_TRUNC('HOUR', runs.start_time)
),

hours AS (
    SELECT
        warehouse_name,
        hour,
        SUM(credits_metered) AS credits_metered,
        SUM(credits_estimated) AS credits_estimated
    FROM (
        SELECT warehouse_name, hour, credits_used AS credits_metered, 0 AS credits_estimated FROM metered
        UNION ALL
        SELECT warehouse_name, hour, 0 AS credits_metered, credits_estimated FROM ran
    ) AS told
    GROUP BY warehouse_name, hour
)

SELECT
    TO_DATE(hour) AS day,
    LOWER(REPLACE(warehouse_name, 'CDESK_', '')) AS workload,
    SUM(GREATEST(credits_metered, credits_estimated))::DOUBLE AS credits,
    SUM(credits_metered)::DOUBLE AS credits_metered,
    SUM(GREATEST(credits_estimated - credits_metered, 0))::DOUBLE AS credits_estimated
FROM hours
GROUP BY TO_DATE(hour), warehouse_name

UNION ALL

SELECT
    TO_DATE(CONVERT_TIMEZONE('UTC', start_time)::TIMESTAMP_NTZ) AS day,
    'serverless' AS workload,
    SUM(credits_used)::DOUBLE AS credits,
    SUM(credits_used)::DOUBLE AS credits_metered,
    0::DOUBLE AS credits_estimated
FROM (
    SELECT start_time, credits_used, database_name FROM SNOWFLAKE.ACCOUNT_USAGE.AUTOMATIC_CLUSTERING_HISTORY
    UNION ALL
    SELECT start_time, credits_used, database_name FROM SNOWFLAKE.ACCOUNT_USAGE.SEARCH_OPTIMIZATION_HISTORY
) AS serverless
WHERE database_name = CURRENT_DATABASE()
GROUP BY TO_DATE(CONVERT_TIMEZONE('UTC', start_time)::TIMESTAMP_NTZ);

-- V_COST_BY_TAG: one row for each day, workload and query tag: what its statements took while they ran.
-- Up to eight hours late. Statements of a tenth of a second and less are not told, nor what a warehouse costs while it waits:
-- all tags together are less than V_COST_DAILY.
CREATE OR REPLACE VIEW V_COST_BY_TAG COPY GRANTS AS
SELECT
    TO_DATE(CONVERT_TIMEZONE('UTC', start_time)::TIMESTAMP_NTZ) AS day,
    LOWER(REPLACE(warehouse_name, 'CDESK_', '')) AS workload,
    query_tag,
    COUNT(*) AS statements,
    SUM(credits_attributed_compute + COALESCE(credits_used_query_acceleration, 0))::DOUBLE AS credits
FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_ATTRIBUTION_HISTORY
WHERE query_tag LIKE 'cdesk:%'
GROUP BY TO_DATE(CONVERT_TIMEZONE('UTC', start_time)::TIMESTAMP_NTZ), warehouse_name, query_tag;
