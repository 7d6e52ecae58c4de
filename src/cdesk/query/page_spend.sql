-- Spend and tokens of each period; within the one asked for (0) also by hour.
-- Takes: {period}; :start of period 0, :since the oldest period, :slice_minutes (15 where a zone is off by part of an hour).
-- Gives: period, hour, slice, cost, tokens, responses, unpriced. NULL cost: nothing was priced.
SELECT
    {period} AS period,
    CASE WHEN ts >= :start THEN DATE_TRUNC('HOUR', ts) END AS hour,
    CASE WHEN ts >= :start THEN FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) END AS slice,
    SUM(revenue_impact) AS cost,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(*) AS responses,
    COUNT(CASE WHEN revenue_impact IS NULL AND COALESCE(_prompt_tokens + _completion_tokens, 1) > 0 THEN 1 END) AS unpriced
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :since
GROUP BY 1, 2, 3
