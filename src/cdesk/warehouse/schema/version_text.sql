-- Takes: ACTIVITY_SCHEMA_VERSION. Gives: its column applied_sql, the text of the step, where it is missing.
ALTER TABLE ACTIVITY_SCHEMA_VERSION ADD COLUMN IF NOT EXISTS applied_sql VARCHAR
