-- What each project used.
-- Takes: :start. Gives: project, sessions, people, cost, tokens, responses, unpriced, newest.
SELECT
    _project_path AS project,
    COUNT(DISTINCT _session_id) AS sessions,
    COUNT(DISTINCT customer) AS people,
    SUM(revenue_impact) AS cost,
    SUM(
        COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
        + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0)
    ) AS tokens,
    COUNT(*) AS responses,
    COUNT(CASE WHEN revenue_impact IS NULL AND COALESCE(_prompt_tokens + _completion_tokens, 1) > 0 THEN 1 END) AS unpriced,
    MAX(ts) AS newest
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :start
GROUP BY 1
