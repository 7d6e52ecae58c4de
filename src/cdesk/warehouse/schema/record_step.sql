-- Takes: migration_name, applied_at (UTC), applied_by, checksum_before, checksum_after. Gives: one completed row.
INSERT INTO ACTIVITY_SCHEMA_VERSION (
    version_id, migration_name, applied_at, applied_by, checksum_before, checksum_after, status
)
SELECT
    COALESCE(MAX(version_id), 0) + 1,
    :1,
    :2,
    :3,
    :4,
    :5,
    'completed'
FROM ACTIVITY_SCHEMA_VERSION
