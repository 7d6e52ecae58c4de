-- Notes a question in the query log, so that a figure can be asked for again.
-- Takes: :id, :tag, :text, :now (UTC). Gives: nothing.
INSERT INTO QUERY_HISTORY (
    query_id, query_tag, query_text, database_name, schema_name, execution_status, start_time, end_time
) VALUES (:id, :tag, :text, 'warehouse', 'main', 'SUCCESS', :now, :now)
