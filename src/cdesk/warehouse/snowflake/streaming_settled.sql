-- Takes: a JSON array of ids. Deletes their lines, which are merged.
DELETE FROM CLAUDE_UNSETTLED
WHERE id IN (SELECT f.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f)
