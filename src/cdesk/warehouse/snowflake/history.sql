-- Takes: nothing. Gives: what the schema beside has on record, before what is on record here, once.
INSERT INTO CDESK.ACTIVITY.ACTIVITY_SCHEMA_VERSION (
    version_id, git_sha, migration_name, applied_at, applied_by, rollback_sql, checksum_before, checksum_after, status,
    applied_sql
)
SELECT
    version_id - (SELECT MAX(version_id) FROM CDESK.BESIDE.ACTIVITY_SCHEMA_VERSION)
    + (SELECT MIN(version_id) FROM CDESK.ACTIVITY.ACTIVITY_SCHEMA_VERSION) - 1,
    git_sha,
    migration_name,
    applied_at,
    applied_by,
    NULL,
    checksum_before,
    checksum_after,
    'before: ' || status,
    applied_sql
FROM CDESK.BESIDE.ACTIVITY_SCHEMA_VERSION
WHERE
    migration_name NOT IN (SELECT migration_name FROM CDESK.ACTIVITY.ACTIVITY_SCHEMA_VERSION WHERE status LIKE 'before: %')
