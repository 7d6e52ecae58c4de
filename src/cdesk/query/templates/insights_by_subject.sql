-- question: insights_by_subject
-- title: What is known about a subject
-- description: Insights that hold now, the surest and latest first.
-- version: 1
-- parameter: subject text to 255 optional: only about this
-- parameter: metric text to 255 optional: only this is said of it
-- parameter: customer text to 255 optional: only of this person
-- parameter: rows integer 1 to 1000 = 100: at most so many
-- column: atom text: cite it as atom:<id>
-- column: subject text: what it is about
-- column: metric text: what is said of it
-- column: value any: the figure or word
-- column: unit text: of the value
-- column: grain text: what one value stands for
-- column: statement text: in words, where somebody gave it some
-- column: confidence number: 0 to 1
-- column: valid_from time: UTC
-- column: valid_until time: UTC
-- roles: owner, admin, engineer, agent
-- access: content
-- cap: 1 GB
-- cache: 1 min
-- reads: insights

SELECT
    id AS atom,
    subject,
    metric,
    TO_JSON(value) AS value,
    unit,
    grain,
    derivation:statement::VARCHAR AS statement,
    confidence,
    valid_from,
    valid_until
FROM INSIGHT_ATOMS
WHERE
    NOT COALESCE(is_silenced, FALSE) AND NOT COALESCE(is_quarantined, FALSE) AND NOT COALESCE(is_stale, FALSE)
    AND superseded_by IS NULL AND (valid_until IS NULL OR valid_until > :now)
    AND (CAST(:subject AS VARCHAR) IS NULL OR LOWER(subject) = LOWER(:subject))
    AND (CAST(:metric AS VARCHAR) IS NULL OR LOWER(metric) = LOWER(:metric))
    AND (CAST(:customer AS VARCHAR) IS NULL OR customer = :customer)
QUALIFY ROW_NUMBER() OVER (ORDER BY confidence DESC NULLS LAST, ts DESC, id) <= :rows
ORDER BY confidence DESC NULLS LAST, ts DESC, id;

SELECT evidence.value::VARCHAR AS activity_id
FROM INSIGHT_ATOMS AS atoms, LATERAL FLATTEN(INPUT => atoms.derivation:evidence) AS evidence
WHERE atoms.id = CAST(:row_atom AS VARCHAR)
LIMIT 1000
