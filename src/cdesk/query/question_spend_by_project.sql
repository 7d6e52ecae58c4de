-- What each project cost, the dearest first.
-- Takes: :since, :project (NULL: all). Gives: project, cost_usd, tokens, sessions, last_active.
SELECT
    _project_path AS project,
    SUM(revenue_impact) AS cost_usd,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(DISTINCT _session_id) AS sessions,
    MAX(ts) AS last_active
FROM CLAUDE_STREAM_V2
WHERE
    activity = 'claude_responded' AND _is_counted AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
GROUP BY 1
ORDER BY 2 DESC NULLS LAST, 1
