-- How long tools took this week, over all projects.
-- Takes: :customers, :week (UTC). Gives: customer, name, calls, p95_ms; the slowest first.
SELECT customer, name, MAX(calls) AS calls, MIN(latency_ms) AS p95_ms
FROM (
    SELECT
        customer,
        name,
        latency_ms,
        SUM(calls) OVER (PARTITION BY customer, name ORDER BY latency_ms) AS up_to,
        SUM(calls) OVER (PARTITION BY customer, name) AS calls
    FROM (
        SELECT customer, name, latency_ms, SUM(calls) AS calls
        FROM LATENCY_ROLLUP
        WHERE customer IN (:customers) AND hour >= :week AND kind = 'tool' AND name IS NOT NULL
        GROUP BY 1, 2, 3
        HAVING SUM(calls) > 0
    ) AS counted
) AS placed
WHERE up_to >= 0.95 * calls
GROUP BY 1, 2
ORDER BY 4 DESC, 2
