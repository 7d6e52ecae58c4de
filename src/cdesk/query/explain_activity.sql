-- One activity, by any of its names.
-- Takes: :id. Gives: the row, features as JSON text.
SELECT
    activity_id,
    ts,
    activity,
    customer,
    _session_id AS session,
    _project_path AS project,
    _source AS seen_by,
    revenue_impact AS cost_usd,
    link,
    _ingested_at AS loaded_at,
    TO_JSON(feature_json) AS features
FROM CLAUDE_STREAM_V2
WHERE activity_id = :id OR _also_id = :id OR _also_id_2 = :id
ORDER BY CASE WHEN activity_id = :id THEN 0 ELSE 1 END
LIMIT 1
