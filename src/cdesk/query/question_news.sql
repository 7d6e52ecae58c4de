-- The last commit behind one that is known that told anything but of cdesk being asked, and the newest that it told.
-- Takes: :seq. Gives: seq, as_of (UTC); null where there is none. The doctor's self-tests are nobody's data.
SELECT
    MAX(_seq) AS seq,
    MAX(CASE WHEN activity NOT IN ('self_test_arrived', 'schema_drift_detected') THEN ts END) AS as_of
FROM CLAUDE_STREAM_V2
WHERE _seq > :seq AND NOT (activity IN ('sql_executed', 'mcp_called') AND _source IN ('cdesk', 'mcp'))
