-- question: spend_by_project
-- title: What each project cost
-- description: Dollars and tokens by project, the dearest first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: project text: its folder
-- column: cost_usd number in USD: null where no price is known
-- column: tokens integer in tokens: of all kinds
-- column: sessions integer in sessions: with an answer
-- column: last_active time: UTC, the hour of the last answer
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars project cost_usd
-- reads: rollups

SELECT
    project_path AS project,
    IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd,
    SUM(tokens_shown) AS tokens,
    COUNT(DISTINCT session_id) AS sessions,
    MAX(hour) AS last_active
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
    AND EQUAL_NULL(_project_path, CAST(:row_project AS VARCHAR))
ORDER BY ts DESC, activity_id
LIMIT 1000
