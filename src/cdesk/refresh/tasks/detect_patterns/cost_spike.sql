-- cost_spike: a day that cost far more than usual.
-- Decides by: it cost three times the median of the customer's days before it, of which there are five or more within 14
-- days, and at least 5 dollars more.
-- Confidence: 0.95.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'cost_spike', 'cost', 'usd',
    '{"days": 14, "days_min": 5, "times_min": 3, "more_usd_min": 5}',
    '["claude_responded.cost_usd"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH spent AS (
    SELECT customer, ts::DATE AS day, ts, activity_id, revenue_impact
    FROM CLAUDE_STREAM_V2
    WHERE
        ts >= DATE_TRUNC('DAY', DATEADD(DAY, -14, :now)) AND revenue_impact > 0
        AND activity IN ('claude_responded', 'llm_call', 'llm_response')
        AND customer IN (SELECT customer FROM SIGNAL_NOW)
),

days AS (
    SELECT customer, day, SUM(revenue_impact) AS cost_usd, MIN(ts) AS first_ts, MAX(ts) AS last_ts
    FROM spent
    GROUP BY customer, day
),

spikes AS (
    SELECT d.customer, d.day, d.cost_usd, d.first_ts, d.last_ts, MEDIAN(b.cost_usd) AS usual
    FROM days AS d
    INNER JOIN days AS b ON b.customer = d.customer AND b.day < d.day
    GROUP BY d.customer, d.day, d.cost_usd, d.first_ts, d.last_ts
    HAVING COUNT(*) >= 5 AND d.cost_usd >= 3 * MEDIAN(b.cost_usd) AND d.cost_usd >= 5 + MEDIAN(b.cost_usd)
),

dearest AS (
    SELECT
        spent.customer, spent.day, spent.activity_id,
        ROW_NUMBER() OVER (
            PARTITION BY spent.customer, spent.day ORDER BY spent.revenue_impact DESC, spent.activity_id
        ) AS place
    FROM spent
    INNER JOIN spikes ON spikes.customer = spent.customer AND spikes.day = spent.day
    QUALIFY place <= 5
)

SELECT
    'cost_spike',
    s.customer,
    NULL,
    s.day::VARCHAR,
    NULL,
    ROUND(MAX(s.cost_usd), 2)::DOUBLE,
    0.95,
    MAX(s.first_ts),
    MAX(s.last_ts),
    'On ' || s.day::VARCHAR || ' Claude cost ' || ROUND(MAX(s.cost_usd), 2)::VARCHAR || ' dollars, '
    || ROUND(MAX(s.cost_usd / NULLIF(s.usual, 0)), 1)::VARCHAR || ' times the usual day ('
    || ROUND(MAX(s.usual), 2)::VARCHAR || ').',
    LISTAGG(d.activity_id::VARCHAR, ' ') WITHIN GROUP (ORDER BY d.place)
FROM spikes AS s
INNER JOIN dearest AS d ON d.customer = s.customer AND d.day = s.day
GROUP BY s.customer, s.day;
