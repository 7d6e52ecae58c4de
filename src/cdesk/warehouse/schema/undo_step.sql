-- Takes: version_id. The step is on record as rolled back; the one before it of that name stands again. Gives: nothing.
UPDATE ACTIVITY_SCHEMA_VERSION
SET status = 'rolled back'
WHERE version_id = :1
