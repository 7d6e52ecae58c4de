-- What is known and valid now of some customers, the latest first. Figures of usage and of tools are told from rollups.
-- Takes: :customers, :now (UTC), {rows_max} of each. Gives: id, ts, customer, subject, metric, value (JSON text), unit,
-- grain, confidence, filter and derivation (JSON text), derivation_method.
SELECT
    id, ts, customer, subject, metric, TO_JSON(value) AS value, unit, grain, confidence, TO_JSON(filter_json) AS filter,
    TO_JSON(derivation) AS derivation, derivation_method
FROM INSIGHT_ATOMS
WHERE
    customer IN (:customers) AND superseded_by IS NULL
    AND NOT COALESCE(is_stale, FALSE) AND NOT COALESCE(is_quarantined, FALSE) AND NOT COALESCE(is_silenced, FALSE)
    AND valid_from <= :now AND (valid_until IS NULL OR valid_until > :now)
    AND NOT (derivation_method = 'aggregate_calculation' AND subject IN ('usage', 'tools'))
QUALIFY ROW_NUMBER() OVER (PARTITION BY customer ORDER BY ts DESC, id) <= {rows_max}
ORDER BY ts DESC, id
