-- Whose atoms have changed.
-- Takes: {changes}, a stream over INSIGHT_ATOMS. Gives: customer, filter and derivation (JSON text).
SELECT DISTINCT customer, TO_JSON(filter_json) AS filter, TO_JSON(derivation) AS derivation
FROM {changes}
