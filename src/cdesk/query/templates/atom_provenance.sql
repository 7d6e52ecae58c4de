-- question: atom_provenance
-- title: Where an insight comes from
-- description: How insights came about: method, task or person, the query and artifact they rest on, and how many activities.
-- version: 1
-- parameter: atom text to 64 optional: the beginning of its id; without one, the latest
-- parameter: rows integer 1 to 200 = 20: at most so many
-- column: atom text: cite it as atom:<id>
-- column: subject text: what it is about
-- column: metric text: what is said of it
-- column: method text: recorded, detected or aggregate_calculation
-- column: task text: that calculated or detected it
-- column: author text: claude, person or unknown, of what was recorded
-- column: query text: cite it as cdesk:<query_id>
-- column: artifact text: its id
-- column: evidence integer in activities: it names
-- column: superseded_by text: the atom that says it newer
-- column: is_quarantined boolean: what it was read from has drifted
-- column: made_at time: UTC
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 1 min
-- reads: insights

SELECT
    id AS atom,
    subject,
    metric,
    derivation_method AS method,
    derivation:task::VARCHAR AS task,
    derivation:author::VARCHAR AS author,
    provenance_query_id AS query,
    artifact_id AS artifact,
    COALESCE(ARRAY_SIZE(derivation:evidence), 0) AS evidence,
    superseded_by,
    COALESCE(is_quarantined, FALSE) AS is_quarantined,
    ts AS made_at
FROM INSIGHT_ATOMS
WHERE CAST(:atom AS VARCHAR) IS NULL OR STARTSWITH(id, LOWER(:atom))
QUALIFY ROW_NUMBER() OVER (ORDER BY ts DESC, id) <= :rows
ORDER BY ts DESC, id;

SELECT evidence.value::VARCHAR AS activity_id
FROM INSIGHT_ATOMS AS atoms, LATERAL FLATTEN(INPUT => atoms.derivation:evidence) AS evidence
WHERE atoms.id = CAST(:row_atom AS VARCHAR)
LIMIT 1000
