-- question: failing_tools
-- title: Which tools fail most
-- description: Failed calls by tool and kind of failure, the most frequent first, each with its last message.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: project folder optional: only what was done there
-- column: tool text: its name
-- column: error_type text: kind of failure
-- column: failed integer in calls: of this kind
-- column: calls integer in calls: of the tool that ended
-- column: failure_pct number in percent: of these calls
-- column: last_at time: UTC
-- column: last_message text: as it was recorded
-- column: last_activity text: cite it as activity:<id>
-- roles: owner, admin, engineer, agent
-- access: content
-- cap: 1 GB
-- cache: 1 h
-- chart: bars tool failed
-- reads: stream

WITH calls AS (
    SELECT
        tool_name_normalized AS tool,
        COUNT(*) AS calls
    FROM VW_TOOL_EVENTS
    WHERE
        success IS NOT NULL AND ts >= :since
        AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    GROUP BY 1
),

failures AS (
    SELECT
        tool_name_normalized AS tool,
        COALESCE(error_type, 'tool_failed') AS error_type,
        COUNT(*) AS failed,
        MAX(ts) AS last_at,
        MAX_BY(error_message, ts) AS last_message,
        MAX_BY(activity_id, ts) AS last_activity
    FROM VW_TOOL_EVENTS
    WHERE
        NOT success AND ts >= :since
        AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    GROUP BY 1, 2
)

SELECT
    failures.tool,
    failures.error_type,
    failures.failed,
    calls.calls,
    ROUND(failures.failed * 100.0 / NULLIF(calls.calls, 0), 1) AS failure_pct,
    failures.last_at,
    failures.last_message,
    failures.last_activity
FROM failures
INNER JOIN calls ON EQUAL_NULL(failures.tool, calls.tool)
ORDER BY 3 DESC, 1, 2
LIMIT 100;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE
    NOT success AND ts >= :since
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    AND EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
    AND COALESCE(error_type, 'tool_failed') = CAST(:row_error_type AS VARCHAR)
ORDER BY ts DESC, activity_id
LIMIT 1000
