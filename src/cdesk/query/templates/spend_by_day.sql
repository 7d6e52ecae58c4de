-- question: spend_by_day
-- title: What each day cost
-- description: Dollars and tokens of every day on which a model answered, the latest first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: day day: UTC
-- column: cost_usd number in USD: null where no price is known
-- column: tokens integer in tokens: of all kinds
-- column: responses integer in responses: of the model
-- column: sessions integer in sessions: with an answer
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars day cost_usd
-- reads: rollups

SELECT
    CAST(hour AS DATE) AS day,
    IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd,
    SUM(tokens_shown) AS tokens,
    SUM(activities)::BIGINT AS responses,
    COUNT(DISTINCT session_id) AS sessions
FROM ACTIVITY_ROLLUP
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND is_counted
    AND hour >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY 1 DESC;

SELECT activity_id
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
    AND CAST(ts AS DATE) = CAST(:row_day AS DATE)
ORDER BY ts DESC, activity_id
LIMIT 1000
