-- Where the columns of a table are in the file. DuckDB alone.
-- Takes: {table}, quoted. Gives, by row group and column: row_group, column, rows, blocks, values that are not in the file, whether
-- keys of a document are apart, and for times the first and the last.
SELECT
    row_group_id,
    column_name,
    coalesce(sum(count) FILTER (WHERE is_top), 0) AS rows,
    list(DISTINCT block_id) FILTER (WHERE block_id >= 0) || flatten(coalesce(list(additional_block_ids), [])) AS blocks,
    coalesce(sum(count) FILTER (WHERE NOT persistent AND regexp_matches(column_path, '^.\d+, 0.$')), 0) AS unwritten,
    bool_or(segment_type <> 'VALIDITY' AND regexp_matches(column_path, '^.\d+, 2, ')) AS is_apart,
    min(TRY_CAST(stats.min::VARCHAR AS TIMESTAMP)) FILTER (WHERE segment_type = 'TIMESTAMP' AND is_top) AS first,
    max(TRY_CAST(stats.max::VARCHAR AS TIMESTAMP)) FILTER (WHERE segment_type = 'TIMESTAMP' AND is_top) AS last
FROM (SELECT *, column_path NOT LIKE '%,%' AS is_top FROM pragma_storage_info('{table}'))
GROUP BY ALL
