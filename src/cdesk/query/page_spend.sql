-- Spend and tokens of each period; within the one asked for (0) also by hour.
-- Takes: {period}; :start of period 0, :since the oldest period, :slice_minutes (15 where a zone is off by part of an hour).
-- Gives: period, hour, slice, cost, tokens, responses, unpriced. NULL cost: nothing was priced.
SELECT
    {period} AS period,
    CASE WHEN ts >= :start THEN DATE_TRUNC('HOUR', ts) END AS hour,
    CASE WHEN ts >= :start THEN FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) END AS slice,
    SUM(revenue_impact) AS cost,
    SUM(total_tokens) AS tokens,
    COUNT(*) AS responses,
    SUM(CASE WHEN revenue_impact IS NULL AND COALESCE(total_tokens, 1) > 0 THEN 1 ELSE 0 END) AS unpriced
FROM VW_LLM_EVENTS
WHERE is_response AND COALESCE(is_counted, TRUE) AND ts >= :since
GROUP BY 1, 2, 3
