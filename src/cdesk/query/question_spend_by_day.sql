-- What each day cost, the latest first.
-- Takes: :since, :project (NULL: all). Gives: day, cost_usd, tokens, responses, sessions.
SELECT
    CAST(ts AS DATE) AS day,
    SUM(revenue_impact) AS cost_usd,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(*) AS responses,
    COUNT(DISTINCT _session_id) AS sessions
FROM CLAUDE_STREAM_V2
WHERE
    activity = 'claude_responded' AND _is_counted AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
GROUP BY 1
ORDER BY 1 DESC
