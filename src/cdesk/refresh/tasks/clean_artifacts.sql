-- task: clean_artifacts
-- meaning: expired artifacts are deleted, unless pinned or on legal hold
-- when: cron 0 2 * * * America/Los_Angeles
-- fresh: 24 h
-- writes: ARTIFACTS, ARTIFACT_CONTENT_DUE, ARTIFACT_CLEANUPS

-- What is recorded first is what the deletion below takes: the same rule, in the same transaction. On hold goes before
-- pinned in the counts.
INSERT INTO ARTIFACT_CLEANUPS (ran_at, deleted, deleted_bytes, kept_pinned, kept_on_hold)
WITH held AS (
    SELECT artifact_id
    FROM ARTIFACTS
    WHERE
        artifact_id IN (SELECT artifact_id FROM LEGAL_HOLD WHERE released_at IS NULL AND artifact_id IS NOT NULL)
        OR customer IN (
            SELECT customer FROM LEGAL_HOLD
            WHERE released_at IS NULL AND artifact_id IS NULL AND customer IS NOT NULL
        )
)

SELECT
    :now,
    COUNT_IF(held.artifact_id IS NULL AND NOT COALESCE(is_pinned, FALSE)),
    COALESCE(SUM(IFF(held.artifact_id IS NULL AND NOT COALESCE(is_pinned, FALSE), total_bytes, 0)), 0),
    COUNT_IF(held.artifact_id IS NULL AND COALESCE(is_pinned, FALSE)),
    COUNT_IF(held.artifact_id IS NOT NULL)
FROM ARTIFACTS AS a
LEFT JOIN held ON held.artifact_id = a.artifact_id
WHERE a.expires_at <= :now;

INSERT INTO ARTIFACT_CONTENT_DUE (artifact_id, s3_url, s3_bucket, s3_key, due_at)
SELECT artifact_id, s3_url, s3_bucket, s3_key, :now
FROM ARTIFACTS
WHERE
    expires_at <= :now
    AND NOT COALESCE(is_pinned, FALSE)
    AND (s3_url IS NOT NULL OR s3_key IS NOT NULL)
    AND artifact_id NOT IN (SELECT artifact_id FROM LEGAL_HOLD WHERE released_at IS NULL AND artifact_id IS NOT NULL)
    AND customer NOT IN (
        SELECT customer FROM LEGAL_HOLD
        WHERE released_at IS NULL AND artifact_id IS NULL AND customer IS NOT NULL
    );

DELETE FROM ARTIFACTS
WHERE
    expires_at <= :now
    AND NOT COALESCE(is_pinned, FALSE)
    AND artifact_id NOT IN (SELECT artifact_id FROM LEGAL_HOLD WHERE released_at IS NULL AND artifact_id IS NOT NULL)
    AND customer NOT IN (
        SELECT customer FROM LEGAL_HOLD
        WHERE released_at IS NULL AND artifact_id IS NULL AND customer IS NOT NULL
    );
