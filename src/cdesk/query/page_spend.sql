-- Spend and tokens of each period; within the one asked for (0) also by hour.
-- Takes: {rows} since the oldest period, {period}, :start of period 0, :slice_minutes (15 where a zone is off by part of
-- an hour). Gives: period, hour, slice, cost, tokens, responses, unpriced. NULL cost: nothing was priced.
SELECT
    {period} AS period,
    CASE WHEN ts >= :start THEN DATE_TRUNC('HOUR', ts) END AS hour,
    CASE WHEN ts >= :start THEN FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) END AS slice,
    CASE WHEN SUM(priced) > 0 THEN SUM(cost_usd) END AS cost,
    SUM(tokens_shown) AS tokens,
    SUM(activities) AS responses,
    SUM(unpriced_shown) AS unpriced
FROM ({rows}) AS counted
WHERE is_counted
GROUP BY 1, 2, 3
HAVING SUM(activities) > 0
