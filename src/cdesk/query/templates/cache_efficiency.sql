-- question: cache_efficiency
-- title: How well prompt caches are used
-- description: Tokens read from and written to caches by model, and what part of the prompts they were.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: model text: its name
-- column: prompt_tokens integer in tokens: not from a cache
-- column: cache_creation_tokens integer in tokens: written to a cache
-- column: cache_read_tokens integer in tokens: read from a cache
-- column: hit_pct number in percent: read from a cache, of all that was sent
-- column: reads_per_write number: how often what was written was read
-- column: responses integer in responses: of the model
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars model hit_pct
-- reads: rollups

SELECT
    name AS model,
    SUM(prompt_tokens) AS prompt_tokens,
    SUM(cache_creation_tokens) AS cache_creation_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens,
    ROUND(
        SUM(cache_read_tokens) * 100.0
        / NULLIF(SUM(prompt_tokens) + SUM(cache_creation_tokens) + SUM(cache_read_tokens), 0), 1
    ) AS hit_pct,
    ROUND(SUM(cache_read_tokens) / NULLIF(SUM(cache_creation_tokens), 0), 2) AS reads_per_write,
    SUM(activities)::BIGINT AS responses
FROM ACTIVITY_ROLLUP
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND is_counted
    AND hour >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY 4 DESC, 1;

SELECT activity_id
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
    AND EQUAL_NULL(_model, CAST(:row_model AS VARCHAR))
ORDER BY ts DESC, activity_id
LIMIT 1000
