-- Takes: nothing. Gives: version_id, migration_name and rollback_sql of the steps of the newest deployment that stands, last
-- first.
SELECT
    version_id,
    migration_name,
    rollback_sql
FROM ACTIVITY_SCHEMA_VERSION
WHERE
    status = 'completed'
    AND rollback_sql IS NOT NULL
    AND applied_at = (
        SELECT MAX(applied_at) FROM ACTIVITY_SCHEMA_VERSION WHERE status = 'completed' AND rollback_sql IS NOT NULL
    )
ORDER BY version_id DESC
