-- question: recent_activity
-- title: What was done last
-- description: Activities, the latest first, with their features.
-- version: 1
-- parameter: hours integer 1 to 720 = 24: so many hours back
-- parameter: customer text to 255 optional: only of this person
-- parameter: project folder optional: only what was done there
-- parameter: activities list of text to 100 optional: only these kinds
-- parameter: rows integer 1 to 1000 = 50: at most so many
-- column: ts time: UTC
-- column: activity text: what happened
-- column: customer text: who
-- column: session text: in which
-- column: project text: where
-- column: features text: what is known of it, JSON, cut at 500 characters
-- column: cost_usd number in USD: null where no price is known
-- column: activity_id text: cite it as activity:<id>
-- roles: owner, admin, engineer, agent
-- access: content
-- cap: 1 GB
-- cache: 1 min
-- reads: stream

WITH found AS (
    SELECT ts, activity, customer, _session_id, _project_path, feature_json, revenue_impact, activity_id
    FROM CLAUDE_STREAM_V2
    WHERE
        ts >= :since
        AND (CAST(:customer AS VARCHAR) IS NULL OR customer = :customer)
        AND (CAST(:project AS VARCHAR) IS NULL OR _project_path = :project)
        AND (
            CAST(:activities AS VARCHAR) IS NULL
            OR activity IN (SELECT a.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:activities))) AS a)
        )
    QUALIFY ROW_NUMBER() OVER (ORDER BY ts DESC, activity_id) <= :rows
)

SELECT
    ts,
    activity,
    customer,
    _session_id AS session,
    _project_path AS project,
    LEFT(TO_JSON(feature_json), 500) AS features,
    revenue_impact AS cost_usd,
    activity_id
FROM found
ORDER BY ts DESC, activity_id
