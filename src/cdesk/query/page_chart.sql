-- Cost and tokens by hour and series.
-- Takes: {rows} (of the period), {series} (name or project_path), :slice_minutes.
-- Gives: hour, slice, series, cost, tokens, unpriced.
SELECT
    DATE_TRUNC('HOUR', ts) AS hour,
    FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) AS slice,
    {series} AS series,
    CASE WHEN SUM(priced) > 0 THEN SUM(cost_usd) END AS cost,
    SUM(tokens_shown) AS tokens,
    SUM(unpriced_shown) AS unpriced
FROM ({rows}) AS counted
WHERE is_counted
GROUP BY 1, 2, 3
HAVING SUM(activities) > 0
