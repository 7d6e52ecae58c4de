-- Takes: a channel. Gives: lines of facts that were known already, id and JSON, oldest first: this channel's, and what
-- other channels have left for more than a day.
SELECT
    id,
    TO_JSON(line) AS line
FROM CLAUDE_UNSETTLED
WHERE channel = :1 OR arrived_at < DATEADD(DAY, -1, SYSDATE())
ORDER BY arrived_at, id
