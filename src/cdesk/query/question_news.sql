-- The last commit behind one that is known that told anything but of cdesk being asked.
-- Takes: :seq. Gives: seq; null where there is none.
SELECT MAX(_seq) AS seq
FROM CLAUDE_STREAM_V2
WHERE _seq > :seq AND NOT (activity IN ('sql_executed', 'mcp_called') AND _source IN ('cdesk', 'mcp'))
