-- One insight.
-- Takes: :id. Gives: the row; value, filter and derivation as JSON text.
SELECT
    id,
    ts,
    customer,
    subject,
    metric,
    TO_JSON(value) AS value,
    unit,
    grain,
    TO_JSON(filter_json) AS filter,
    confidence,
    valid_from,
    valid_until,
    superseded_by,
    is_stale,
    is_silenced,
    is_quarantined,
    quarantine_reason,
    derivation_method,
    TO_JSON(derivation) AS derivation,
    provenance_query_id,
    artifact_id
FROM INSIGHT_ATOMS
WHERE id = :id
LIMIT 1
