-- Adds to the query log's last row of a run who asked what, and what it was to read.
-- Takes: :id, :text, :role, :user, :bytes (NULL: not known). Gives: nothing.
UPDATE QUERY_HISTORY
SET query_text = :text, role_name = :role, user_name = :user, warehouse_name = 'duckdb', bytes_scanned = COALESCE(bytes_scanned, :bytes)
WHERE query_id = :id AND role_name IS NULL
