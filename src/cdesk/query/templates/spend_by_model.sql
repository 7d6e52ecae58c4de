-- question: spend_by_model
-- title: What each model cost
-- description: Dollars and tokens by model, the dearest first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: model text: its name
-- column: cost_usd number in USD: null where no price is known
-- column: tokens integer in tokens: of all kinds
-- column: responses integer in responses: of the model
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars model cost_usd
-- reads: rollups

SELECT
    name AS model,
    IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd,
    SUM(tokens_shown) AS tokens,
    SUM(activities)::BIGINT AS responses
FROM ACTIVITY_ROLLUP
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND is_counted
    AND hour >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY 2 DESC NULLS LAST, 1;

SELECT activity_id
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
    AND EQUAL_NULL(_model, CAST(:row_model AS VARCHAR))
ORDER BY ts DESC, activity_id
LIMIT 1000
