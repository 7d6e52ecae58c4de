-- Takes: nothing. Gives: one row when steps can have been recorded, else none.
SELECT table_name
FROM INFORMATION_SCHEMA.TABLES
WHERE UPPER(table_name) = 'ACTIVITY_SCHEMA_VERSION' AND table_schema = CURRENT_SCHEMA()
