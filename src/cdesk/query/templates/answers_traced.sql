-- question: answers_traced
-- title: How many answers can be traced
-- description: Answers that cdesk and others gave by a statement, by day, and those that lead back to a run or an artifact.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- column: day day: UTC
-- column: answers integer in answers: given
-- column: traced integer in answers: that lead back to an artifact or a run
-- column: coverage_pct number in percent: of the answers
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 1 min
-- chart: line day coverage_pct
-- reads: rollups

SELECT
    CAST(ts AS DATE) AS day,
    COUNT_IF(is_answer) AS answers,
    COUNT_IF(is_answer AND has_provenance) AS traced,
    ROUND(COUNT_IF(is_answer AND has_provenance) * 100.0 / NULLIF(COUNT_IF(is_answer), 0), 1) AS coverage_pct
FROM V_STATEMENTS
WHERE ts >= :since
GROUP BY 1
ORDER BY 1 DESC;

SELECT activity_id
FROM V_STATEMENTS
WHERE ts >= :since AND CAST(ts AS DATE) = CAST(:row_day AS DATE) AND is_answer AND (:column <> 'traced' OR has_provenance)
ORDER BY ts DESC, activity_id
LIMIT 1000
