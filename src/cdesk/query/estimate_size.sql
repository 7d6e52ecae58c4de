-- How many rows the engine thinks a table has.
-- Takes: $1, its name. Gives: rows.
SELECT estimated_size FROM duckdb_tables() WHERE table_name = $1 AND NOT internal
