-- Takes: git_sha, migration_name, applied_at (UTC), applied_by, rollback_sql, checksum_before, checksum_after, status,
-- applied_sql. Gives: one row.
INSERT INTO ACTIVITY_SCHEMA_VERSION (
    version_id, git_sha, migration_name, applied_at, applied_by, rollback_sql, checksum_before, checksum_after, status,
    applied_sql
)
SELECT
    COALESCE(MAX(version_id), 0) + 1,
    :1,
    :2,
    :3,
    :4,
    :5,
    :6,
    :7,
    :8,
    :9
FROM ACTIVITY_SCHEMA_VERSION
