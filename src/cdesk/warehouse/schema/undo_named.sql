-- Takes: migration_name. What is on record as completed under it is rolled back. Gives: nothing.
UPDATE ACTIVITY_SCHEMA_VERSION
SET status = 'rolled back'
WHERE migration_name = :1 AND status = 'completed'
