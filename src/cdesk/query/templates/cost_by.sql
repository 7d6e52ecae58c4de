-- question: cost_by
-- title: What it cost, by whatever you like
-- description: Dollars and tokens by hour, day, model, project, branch, session or person, the dearest first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: by one of day, hour, model, project, branch, session, person = day: a row for each
-- parameter: project folder optional: only what was done there
-- parameter: models list of text to 200 optional: only answers of these
-- parameter: sessions list of text to 200 optional: only in these
-- column: key text: the day, model, …; null where it is not known
-- column: cost_usd number in USD: null where no price is known
-- column: share_pct number in percent: of the cost of all rows
-- column: tokens integer in tokens: of all kinds
-- column: prompt_tokens integer in tokens: not from a cache
-- column: completion_tokens integer in tokens: of the answers
-- column: cache_read_tokens integer in tokens: read from a cache
-- column: responses integer in responses: of the model
-- column: unpriced_responses integer in responses: whose price nobody knows
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars key cost_usd
-- reads: rollups

WITH chosen AS (
    SELECT
        *,
        CASE :by
            WHEN 'day' THEN CAST(CAST(hour AS DATE) AS VARCHAR)
            WHEN 'hour' THEN LEFT(CAST(hour AS VARCHAR), 16)
            WHEN 'model' THEN name
            WHEN 'project' THEN project_path
            WHEN 'branch' THEN git_branch
            WHEN 'session' THEN session_id
            WHEN 'person' THEN customer
        END AS key
    FROM ACTIVITY_ROLLUP
    WHERE
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND is_counted
        AND hour >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
        AND (
            CAST(:models AS VARCHAR) IS NULL
            OR name IN (SELECT m.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:models))) AS m)
        )
        AND (
            CAST(:sessions AS VARCHAR) IS NULL
            OR session_id IN (SELECT s.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:sessions))) AS s)
        )
)

SELECT
    key,
    IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd,
    ROUND(IFF(SUM(priced) > 0, SUM(cost_usd), NULL) * 100.0 / NULLIF(SUM(SUM(cost_usd)) OVER (), 0), 1) AS share_pct,
    SUM(tokens_shown) AS tokens,
    SUM(prompt_tokens) AS prompt_tokens,
    SUM(completion_tokens) AS completion_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens,
    SUM(activities)::BIGINT AS responses,
    SUM(unpriced_shown)::BIGINT AS unpriced_responses
FROM chosen
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY 2 DESC NULLS LAST, 1
LIMIT 1000;

SELECT activity_id
FROM VW_LLM_EVENTS
WHERE
    is_response AND COALESCE(is_counted, TRUE)
    AND ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND (
        CAST(:models AS VARCHAR) IS NULL
        OR model IN (SELECT m.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:models))) AS m)
    )
    AND (
        CAST(:sessions AS VARCHAR) IS NULL
        OR _session_id IN (SELECT s.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:sessions))) AS s)
    )
    AND EQUAL_NULL(CAST(:row_key AS VARCHAR), CASE :by
        WHEN 'day' THEN CAST(CAST(ts AS DATE) AS VARCHAR)
        WHEN 'hour' THEN LEFT(CAST(DATE_TRUNC('HOUR', ts) AS VARCHAR), 16)
        WHEN 'model' THEN model
        WHEN 'project' THEN project_path
        WHEN 'branch' THEN git_branch
        WHEN 'session' THEN _session_id
        WHEN 'person' THEN customer
    END)
    AND (:column <> 'unpriced_responses' OR is_unpriced)
ORDER BY ts DESC, activity_id
LIMIT 1000
