-- question: errors
-- title: How often things fail, day by day
-- description: Failures of tools, requests, statements and cdesk itself, by day and source.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: day day: UTC
-- column: source text: tool, llm, sql, mcp or system
-- column: failures integer in failures: on that day
-- column: recovered integer in failures: of these, what was tried again or put right
-- column: kinds integer in kinds: of failure
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars day failures by source
-- reads: stream

SELECT
    CAST(ts AS DATE) AS day,
    error_source AS source,
    COUNT(*) AS failures,
    COUNT_IF(recovered) AS recovered,
    COUNT(DISTINCT error_type) AS kinds
FROM V_ERRORS
WHERE ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1, 2
ORDER BY 1 DESC, 3 DESC, 2;

SELECT activity_id
FROM V_ERRORS
WHERE
    ts >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND CAST(ts AS DATE) = CAST(:row_day AS DATE) AND error_source = CAST(:row_source AS VARCHAR)
    AND (:column <> 'recovered' OR recovered)
ORDER BY ts DESC, activity_id
LIMIT 1000
