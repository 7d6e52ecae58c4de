-- Cost and tokens by hour and series.
-- Takes: {series} (a column of VW_LLM_EVENTS), :start, :slice_minutes. Gives: hour, slice, series, cost, tokens, unpriced.
SELECT
    DATE_TRUNC('HOUR', ts) AS hour,
    FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) AS slice,
    {series} AS series,
    SUM(revenue_impact) AS cost,
    SUM(total_tokens) AS tokens,
    SUM(CASE WHEN revenue_impact IS NULL AND COALESCE(total_tokens, 1) > 0 THEN 1 ELSE 0 END) AS unpriced
FROM VW_LLM_EVENTS
WHERE is_response AND COALESCE(is_counted, TRUE) AND ts >= :start
GROUP BY 1, 2, 3
