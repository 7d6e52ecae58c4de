-- One artifact.
-- Takes: :id. Gives: what it holds, whose it is, what it answers, and how long it is kept.
SELECT
    artifact_id,
    metadata::JSON ->> '$.title' AS title,
    artifact_type AS kind,
    row_count,
    column_count,
    total_bytes AS bytes,
    created_ts AS created_at,
    customer,
    version,
    parent_artifact_id,
    source_query_id AS query_id,
    expires_at
FROM ARTIFACTS
WHERE artifact_id = :id
LIMIT 1
