-- question: session_timeline
-- title: What happened in a session
-- description: Prompts, answers, calls, files and failures of a session, in their order.
-- version: 1
-- parameter: session text to 200 optional: its id; without one, the latest
-- parameter: rows integer 1 to 1000 = 200: at most so many, from the beginning
-- column: ts time: UTC
-- column: activity text: what happened
-- column: what text: the tool, the model, the file or the kind
-- column: says text: the prompt, the command, the error or the answer, cut at 200 characters
-- column: success boolean: of what can fail
-- column: ms number in ms: how long it took
-- column: cost_usd number in USD: null where no price is known
-- column: activity_id text: cite it as activity:<id>
-- roles: owner, admin, engineer, agent
-- access: content
-- cap: 1 GB
-- cache: 1 min
-- reads: stream

WITH latest AS (
    SELECT _session_id
    FROM CLAUDE_STREAM_V2
    WHERE _session_id IS NOT NULL AND ts >= DATEADD(DAY, -7, (SELECT MAX(ts) FROM CLAUDE_STREAM_V2))
    QUALIFY ROW_NUMBER() OVER (ORDER BY ts DESC, activity_id) = 1
),

happened AS (
    SELECT
        ts,
        activity,
        feature_json,
        _model,
        revenue_impact,
        activity_id
    FROM CLAUDE_STREAM_V2
    WHERE _session_id = COALESCE(CAST(:session AS VARCHAR), (SELECT _session_id FROM latest))
    QUALIFY ROW_NUMBER() OVER (ORDER BY ts, activity_id) <= :rows
)

SELECT
    ts,
    activity,
    COALESCE(
        GET(feature_json, 'tool_name')::VARCHAR, GET(feature_json, 'file_path')::VARCHAR, _model,
        GET(feature_json, 'prompt_kind')::VARCHAR, GET(feature_json, 'method')::VARCHAR
    ) AS what,
    LEFT(COALESCE(
        GET(feature_json, 'error')::VARCHAR, GET(feature_json, 'prompt_text')::VARCHAR,
        GET_PATH(feature_json, 'parameters.command')::VARCHAR, GET(feature_json, 'response_text')::VARCHAR,
        GET(feature_json, 'message')::VARCHAR, GET(feature_json, 'title')::VARCHAR
    ), 200) AS says,
    TRY_TO_BOOLEAN(GET(feature_json, 'success')::VARCHAR) AS success,
    COALESCE(
        TRY_TO_DOUBLE(GET(feature_json, 'latency_ms')::VARCHAR), TRY_TO_DOUBLE(GET(feature_json, 'duration_ms')::VARCHAR)
    ) AS ms,
    revenue_impact AS cost_usd,
    activity_id
FROM happened
ORDER BY ts, activity_id
