-- What some sessions used, by model.
-- Takes: {ids}, :since, :until. Gives: session_id, model, cost, tokens, responses, unpriced, project (where it began), newest.
SELECT
    _session_id AS session_id,
    _model AS model,
    SUM(revenue_impact) AS cost,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(*) AS responses,
    COUNT(CASE WHEN revenue_impact IS NULL AND COALESCE(_prompt_tokens + _completion_tokens, 1) > 0 THEN 1 END) AS unpriced,
    MIN_BY(_project_path, ts) AS project,
    MAX(ts) AS newest
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND _session_id IN ({ids}) AND ts >= :since AND ts <= :until
GROUP BY 1, 2
