-- Tool calls that ended and that failed, of each period; within the one asked for (0) also by hour.
-- Takes: as page_spend. Gives: period, hour, slice, ended, failed.
SELECT
    {period} AS period,
    CASE WHEN ts >= :start THEN DATE_TRUNC('HOUR', ts) END AS hour,
    CASE WHEN ts >= :start THEN FLOOR(EXTRACT(MINUTE FROM ts) / NULLIF(:slice_minutes, 0)) END AS slice,
    COUNT(success) AS ended,
    COUNT(CASE WHEN NOT success THEN 1 END) AS failed
FROM VW_TOOL_EVENTS
WHERE ts >= :since
GROUP BY 1, 2, 3
