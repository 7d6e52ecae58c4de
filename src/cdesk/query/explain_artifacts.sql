-- Where the whole answer of a query is kept.
-- Takes: :id. Gives: artifacts, the newest first.
SELECT artifact_id
FROM ARTIFACTS
WHERE source_query_id = :id
ORDER BY created_ts DESC, artifact_id DESC
