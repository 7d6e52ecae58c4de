-- Where the columns of a table are in the file. DuckDB alone.
-- Takes: {table}, quoted. Gives, by row group and column: row_group, column, rows, blocks, values that are not in the file, parts
-- it is stored in, and for times the first and the last.
SELECT
    row_group_id,
    column_name,
    max(count_of_top) AS count_of_rows,
    list(DISTINCT block_id) FILTER (WHERE block_id >= 0) || flatten(coalesce(list(additional_block_ids), [])) AS blocks,
    coalesce(sum(count_of_top) FILTER (WHERE NOT persistent), 0) AS unwritten,
    count(DISTINCT column_path) AS paths,
    min(TRY_CAST(stats.min::VARCHAR AS TIMESTAMP)) FILTER (WHERE segment_type = 'TIMESTAMP' AND is_top) AS first,
    max(TRY_CAST(stats.max::VARCHAR AS TIMESTAMP)) FILTER (WHERE segment_type = 'TIMESTAMP' AND is_top) AS last
FROM (
    SELECT
        *,
        column_path NOT LIKE '%,%' AS is_top,
        CASE WHEN is_top OR column_name = 'feature_json' THEN start + count END AS count_of_top
    FROM pragma_storage_info('{table}')
)
GROUP BY ALL
