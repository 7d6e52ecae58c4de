-- question: activity_counts
-- title: How often each activity happened
-- description: Activities by kind, the most frequent first.
-- version: 1
-- parameter: days integer 1 to 366 = 7: so many days back
-- parameter: customer text to 255 optional: only of this person
-- parameter: project folder optional: only what was done there
-- column: activity text: its name
-- column: times integer in activities: it happened
-- column: people integer in people: who did it
-- column: sessions integer in sessions: in which
-- column: last_at time: UTC, the hour
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars activity times
-- reads: rollups

SELECT
    activity,
    SUM(activities)::BIGINT AS times,
    COUNT(DISTINCT customer) AS people,
    COUNT(DISTINCT session_id) AS sessions,
    MAX(hour) AS last_at
FROM ACTIVITY_ROLLUP
WHERE
    hour >= :since
    AND (CAST(:customer AS VARCHAR) IS NULL OR customer = :customer)
    AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
GROUP BY 1
HAVING SUM(activities) > 0
ORDER BY 2 DESC, 1;

SELECT activity_id
FROM CLAUDE_STREAM_V2
WHERE
    ts >= :since AND activity = CAST(:row_activity AS VARCHAR)
    AND (CAST(:customer AS VARCHAR) IS NULL OR customer = :customer)
    AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
ORDER BY ts DESC, activity_id
LIMIT 1000
