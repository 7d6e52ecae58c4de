-- Insight atoms, those that fit the words best first; without words the most certain and latest.
-- Takes: :now, :words (lower case), :subject, :metric, :project, :customer, :since, :state, :is_all, :ids, :rows_max; null: any.
-- Gives: id, ts, customer, subject, metric, value, unit, grain, confidence, method, derivation, valid_from, valid_until,
-- superseded_by, quarantine_reason, state.
WITH atoms AS (
    SELECT
        *,
        LOWER(COALESCE(derivation.statement::VARCHAR, '')) AS said,
        CASE
            WHEN COALESCE(is_silenced, FALSE) THEN 'silenced'
            WHEN COALESCE(is_quarantined, FALSE) THEN 'quarantined'
            WHEN superseded_by IS NOT NULL THEN 'superseded'
            WHEN COALESCE(is_stale, FALSE) THEN 'stale'
            WHEN valid_until <= :now THEN 'expired'
            ELSE 'valid'
        END AS state
    FROM INSIGHT_ATOMS
    WHERE
        (:ids IS NULL OR LIST_CONTAINS(:ids, id))
        AND (:customer IS NULL OR customer = :customer)
        AND (:subject IS NULL OR LOWER(subject) = LOWER(:subject))
        AND (:metric IS NULL OR LOWER(metric) = LOWER(:metric))
        AND (:project IS NULL OR derivation.project_path::VARCHAR = :project)
        AND (:since IS NULL OR ts >= :since)
),

ranked AS (
    SELECT
        *,
        LIST_SUM(LIST_TRANSFORM(:words, lambda word:
            2 * CONTAINS(LOWER(subject || ' ' || metric), word)::INTEGER + CONTAINS(said, word)::INTEGER
        )) AS fit
    FROM atoms
    WHERE (:is_all OR state = :state)
)

SELECT
    id, ts, customer, subject, metric, TO_JSON(value)::VARCHAR AS value, unit, grain, confidence,
    derivation_method AS method, TO_JSON(derivation)::VARCHAR AS derivation, valid_from, valid_until, superseded_by,
    quarantine_reason, state
FROM ranked
WHERE COALESCE(fit, 0) > 0 OR LEN(:words) = 0
ORDER BY
    fit DESC, CASE WHEN derivation_method = 'aggregate_calculation' THEN 1 ELSE 0 END, confidence DESC, valid_from DESC, id
LIMIT :rows_max
