-- task: detect_patterns
-- meaning: atoms of what recurs: failures and their fixes, flaky and slow commands, checks, files, prompts, threads, cost
-- reads: DETECT_PATTERNS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 min
-- after: note_signals
-- writes: INSIGHT_ATOMS, SIGNAL, SIGNAL_DUE
-- scratch: DETECTOR, DETECTED_ATOM, SIGNAL_NOW

-- Only customers that did something since the last run are looked at, 14 days back. note_signals says which they are; of
-- the changes themselves no more is read than who made them (cost is looked up in the stream). One run looks at 500 customers
-- at most, those that wait longest; the others have their turn in the next. Of a rule the 20 findings of a project that weigh
-- most are kept.
--
-- The detectors are the files of detect_patterns/, one for each rule. Each looks at SIGNAL for the customers in SIGNAL_NOW,
-- says in DETECTOR what its rule is and in DETECTED_ATOM what it found. Its statements quote what came from outside as JSON
-- text, and name the activities that they rest on. A detector that fails is left out, and what it found before stays as it is.
--
-- A finding's id says of whom, what and where; what is found again is the same atom, and one that is not found any more is
-- stale.

INSERT INTO SIGNAL_DUE (customer)
SELECT DISTINCT customer
FROM DETECT_PATTERNS_CHANGES
WHERE customer IS NOT NULL;

DELETE FROM SIGNAL
WHERE ts < DATEADD(DAY, -14, :now);

INSERT INTO SIGNAL_NOW (customer)
SELECT customer
FROM SIGNAL_DUE
GROUP BY customer
ORDER BY COUNT(*) DESC, customer
LIMIT 500;

-- parts

DELETE FROM DETECTED_ATOM
USING (
    SELECT rule, customer, project_path, key
    FROM DETECTED_ATOM
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY rule, customer, project_path ORDER BY value DESC, last_ts DESC, key
    ) > 20
) AS many
WHERE
    DETECTED_ATOM.rule = many.rule AND DETECTED_ATOM.customer = many.customer AND DETECTED_ATOM.key = many.key
    AND EQUAL_NULL(DETECTED_ATOM.project_path, many.project_path);

-- What was found becomes atoms.
MERGE INTO INSIGHT_ATOMS AS t
USING (
    SELECT
        MD5('detected|' || d.rule || '|' || d.customer || '|' || COALESCE(d.project_path, '') || '|' || d.key) AS id,
        d.customer,
        r.subject,
        d.rule,
        d.value,
        r.unit,
        d.confidence,
        d.first_ts,
        DATEADD(DAY, 14, d.last_ts) AS valid_until,
        TO_JSON(OBJECT_CONSTRUCT('key', d.key, 'fix', d.fix)) AS filter,
        TO_JSON(OBJECT_CONSTRUCT(
            'task', 'detect_patterns',
            'method', 'detected',
            'rule', d.rule,
            'parameters', PARSE_JSON(r.parameters),
            'project_path', d.project_path,
            'statement', d.statement,
            'evidence', PARSE_JSON('["' || REPLACE(TRIM(d.evidence), ' ', '","') || '"]'),
            'features', PARSE_JSON(r.features)
        )) AS derivation
    FROM DETECTED_ATOM AS d
    INNER JOIN DETECTOR AS r ON r.rule = d.rule
) AS s
ON t.id = s.id
WHEN MATCHED AND (
    t.is_stale OR t.confidence <> s.confidence OR t.valid_from <> s.first_ts OR t.valid_until <> s.valid_until
    OR NOT EQUAL_NULL(TRY_TO_DOUBLE(t.value::VARCHAR), s.value)
    OR TO_JSON(t.filter_json) <> s.filter OR TO_JSON(t.derivation) <> s.derivation
) THEN UPDATE SET
    ts = :now, value = TO_VARIANT(s.value), confidence = s.confidence, filter_json = PARSE_JSON(s.filter),
    derivation = PARSE_JSON(s.derivation), valid_from = s.first_ts, valid_until = s.valid_until, is_stale = FALSE
WHEN NOT MATCHED THEN INSERT (
    id, ts, customer, subject, metric, value, unit, filter_json, confidence, derivation_method, derivation, valid_from,
    valid_until, is_stale, usage_count, schema_version, is_quarantined, is_silenced
) VALUES (
    s.id, :now, s.customer, s.subject, s.rule, TO_VARIANT(s.value), s.unit, PARSE_JSON(s.filter), s.confidence,
    'detected', PARSE_JSON(s.derivation), s.first_ts, s.valid_until, FALSE, 0, 1, FALSE, FALSE
);

UPDATE INSIGHT_ATOMS
SET is_stale = TRUE, ts = :now
WHERE
    derivation_method = 'detected' AND NOT is_stale AND metric IN (SELECT rule FROM DETECTOR)
    AND customer IN (SELECT customer FROM SIGNAL_NOW)
    AND id NOT IN (
        SELECT MD5('detected|' || rule || '|' || customer || '|' || COALESCE(project_path, '') || '|' || key)
        FROM DETECTED_ATOM
    );

DELETE FROM SIGNAL_DUE
WHERE customer IN (SELECT customer FROM SIGNAL_NOW);
