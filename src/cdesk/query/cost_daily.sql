-- What each day cost in Snowflake, by workload.
-- Takes: V_COST_DAILY; the first day. Gives: day, workload, credits, credits_estimated.
SELECT
    day,
    workload,
    SUM(credits) AS credits,
    SUM(credits_estimated) AS credits_estimated
FROM V_COST_DAILY
WHERE day >= ?
GROUP BY day, workload
ORDER BY day, workload;
