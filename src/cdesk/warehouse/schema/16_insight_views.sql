-- What was recorded and corrected, with types.
-- Takes: CLAUDE_STREAM_V2. Gives: VW_INSIGHT_EVENTS.

-- VW_INSIGHT_EVENTS: what Claude and people say they have learned. The atoms made of it are in INSIGHT_ATOMS.
CREATE OR REPLACE VIEW VW_INSIGHT_EVENTS COPY GRANTS AS
SELECT
    activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
    activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
    GET(feature_json, 'subject')::VARCHAR AS subject,
    GET(feature_json, 'metric')::VARCHAR AS metric,
    GET(feature_json, 'statement')::VARCHAR AS statement,
    STRIP_NULL_VALUE(GET(feature_json, 'value')) AS value,
    GET(feature_json, 'unit')::VARCHAR AS unit,
    GET(feature_json, 'grain')::VARCHAR AS grain,
    TRY_TO_DOUBLE(GET(feature_json, 'confidence')::VARCHAR) AS confidence,
    GET(feature_json, 'valid_until')::VARCHAR AS valid_until,
    STRIP_NULL_VALUE(GET(feature_json, 'evidence')) AS evidence,
    GET(feature_json, 'author')::VARCHAR AS author,
    GET(feature_json, 'replaces')::VARCHAR AS replaces,
    GET(feature_json, 'atom_id')::VARCHAR AS atom_id,
    GET(feature_json, 'action')::VARCHAR AS action,
    GET(feature_json, 'reason')::VARCHAR AS reason,
    GET(feature_json, 'project_path')::VARCHAR AS project_path,
    GET(feature_json, 'git_branch')::VARCHAR AS git_branch,
    GET(feature_json, 'cli_version')::VARCHAR AS cli_version,
    GET(feature_json, 'agent_id')::VARCHAR AS agent_id,
    TRY_TO_BOOLEAN(GET(feature_json, 'is_sidechain')::VARCHAR) AS is_sidechain
FROM CLAUDE_STREAM_V2
WHERE activity IN ('insight_recorded', 'insight_corrected');
