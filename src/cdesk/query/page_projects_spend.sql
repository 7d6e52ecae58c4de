-- What each project used.
-- Takes: :start. Gives: project, sessions, people, cost, tokens, responses, unpriced, newest.
SELECT
    project_path AS project,
    COUNT(DISTINCT _session_id) AS sessions,
    COUNT(DISTINCT customer) AS people,
    SUM(revenue_impact) AS cost,
    SUM(total_tokens) AS tokens,
    COUNT(*) AS responses,
    SUM(CASE WHEN revenue_impact IS NULL AND COALESCE(total_tokens, 1) > 0 THEN 1 ELSE 0 END) AS unpriced,
    MAX(ts) AS newest
FROM VW_LLM_EVENTS
WHERE is_response AND COALESCE(is_counted, TRUE) AND ts >= :start
GROUP BY 1
