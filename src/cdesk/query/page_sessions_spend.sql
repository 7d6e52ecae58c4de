-- What some sessions used, by model.
-- Takes: {ids}, :since, :until. Gives: session_id, model, cost, tokens, responses, unpriced, project, branch, newest.
SELECT
    _session_id AS session_id,
    model,
    SUM(revenue_impact) AS cost,
    SUM(total_tokens) AS tokens,
    COUNT(*) AS responses,
    SUM(CASE WHEN revenue_impact IS NULL AND COALESCE(total_tokens, 1) > 0 THEN 1 ELSE 0 END) AS unpriced,
    MAX(project_path) AS project,
    MAX(git_branch) AS branch,
    MAX(ts) AS newest
FROM VW_LLM_EVENTS
WHERE is_response AND COALESCE(is_counted, TRUE) AND _session_id IN ({ids}) AND ts >= :since AND ts <= :until
GROUP BY 1, 2
