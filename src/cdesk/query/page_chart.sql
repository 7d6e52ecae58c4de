-- Cost and tokens by hour and series.
-- Takes: {series} (a column), :start, :slice_minutes. Gives: hour, slice, series, cost, tokens, unpriced.
SELECT
    DATE_TRUNC('HOUR', ts) AS hour,
    FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) AS slice,
    {series} AS series,
    SUM(revenue_impact) AS cost,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(CASE WHEN revenue_impact IS NULL AND COALESCE(_prompt_tokens + _completion_tokens, 1) > 0 THEN 1 END) AS unpriced
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :start
GROUP BY 1, 2, 3
