-- question: adoption
-- title: Who uses Claude Code, day by day
-- description: People, sessions and activities of every day that had any, the latest first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- column: day day: UTC
-- column: people integer in people: with any activity
-- column: sessions integer in sessions: with any activity
-- column: activities integer in activities: of all kinds
-- column: activities_per_session number in activities: on average
-- column: tools integer in tools: different ones
-- column: growth_pct number in percent: of people, against the day before; null after a day without any
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: line day people
-- reads: rollups

SELECT
    activity_date AS day,
    daily_active_users AS people,
    daily_sessions AS sessions,
    daily_activities AS activities,
    ROUND(avg_activities_per_session, 1) AS activities_per_session,
    unique_tools_used AS tools,
    ROUND(daily_growth_percentage, 1) AS growth_pct
FROM V_USER_ADOPTION
WHERE activity_date >= CAST(:since AS DATE)
ORDER BY 1 DESC
