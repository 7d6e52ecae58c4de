-- Takes: a JSON array of activity_ids. Deletes their rows, which turned out to be other rows' second names.
DELETE FROM CLAUDE_STREAM_V2
WHERE activity_id IN (SELECT f.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:1))) AS f)
