-- Takes: nothing. Gives: migration_name and applied_sql of each step as it was last completed.
SELECT
    migration_name,
    applied_sql
FROM ACTIVITY_SCHEMA_VERSION
WHERE status = 'completed'
QUALIFY ROW_NUMBER() OVER (PARTITION BY migration_name ORDER BY version_id DESC) = 1
