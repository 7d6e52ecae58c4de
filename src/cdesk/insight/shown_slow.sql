-- How long tools took in seven days, as a person can ask it again; it stands in the query log and is not run here.
-- Takes: {where}.
SELECT name, latency_ms, SUM(calls) AS calls
FROM LATENCY_ROLLUP
WHERE {where} AND kind = 'tool'
GROUP BY 1, 2
ORDER BY 1, 2
