-- What each model cost, the dearest first.
-- Takes: :since, :project (NULL: all). Gives: model, cost_usd, tokens, responses.
SELECT
    _model AS model,
    SUM(revenue_impact) AS cost_usd,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(*) AS responses
FROM CLAUDE_STREAM_V2
WHERE
    activity = 'claude_responded' AND _is_counted AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
GROUP BY 1
ORDER BY 2 DESC NULLS LAST, 1
