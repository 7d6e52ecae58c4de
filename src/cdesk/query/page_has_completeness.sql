-- Whether V_COMPLETENESS is there, with the columns that the page reads.
-- Takes: nothing. Gives: one row with the number of those columns, 3 when all are.
SELECT COUNT(*) AS columns_found
FROM INFORMATION_SCHEMA.COLUMNS
WHERE UPPER(table_name) = 'V_COMPLETENESS' AND UPPER(column_name) IN ('SOURCE', 'EXPECTED', 'SEEN')
