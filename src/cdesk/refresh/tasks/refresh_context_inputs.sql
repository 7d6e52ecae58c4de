-- task: refresh_context_inputs
-- meaning: the latest failures, files, sessions, open threads and queries of each customer
-- reads: REFRESH_CONTEXT_INPUTS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 s
-- writes: CONTEXT_INPUTS

-- Of each kind at most 20 rows for each project and 100 for each customer stay: the latest. Only customers that changed
-- are looked at. A row that is corrected is replaced; one that is deleted is not made up for by an older one.

DELETE FROM CONTEXT_INPUTS
WHERE activity_id IN (SELECT activity_id FROM REFRESH_CONTEXT_INPUTS_CHANGES);

INSERT INTO CONTEXT_INPUTS (
    customer, project_path, kind, key, ts, activity_id, session_id, link, is_open, detail
)
SELECT
    customer, _project_path, 'failure', activity_id::VARCHAR, ts, activity_id, _session_id, link, NULL,
    OBJECT_CONSTRUCT(
        'tool', feature_json:tool_name::VARCHAR,
        'error_type', feature_json:error_type::VARCHAR,
        'error', LEFT(feature_json:error::VARCHAR, 500)
    )
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE
    METADATA$ACTION = 'INSERT' AND customer IS NOT NULL
    AND (
        activity = 'api_request_failed'
        OR (
            activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
            AND NOT TRY_TO_BOOLEAN(feature_json:success::VARCHAR)
        )
    )

UNION ALL

SELECT
    customer, _project_path, 'file', feature_json:file_path::VARCHAR, ts, activity_id, _session_id, link, NULL,
    OBJECT_CONSTRUCT('operation', feature_json:operation::VARCHAR)
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE
    METADATA$ACTION = 'INSERT' AND customer IS NOT NULL
    AND activity IN ('file_read', 'file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed')
    AND feature_json:file_path::VARCHAR IS NOT NULL

UNION ALL

SELECT
    customer, MAX_BY(_project_path, ts), 'session', _session_id, MAX(ts), MAX_BY(activity_id, ts), _session_id,
    NULL, NULL, NULL
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE METADATA$ACTION = 'INSERT' AND customer IS NOT NULL AND _session_id IS NOT NULL
GROUP BY customer, _session_id

UNION ALL

SELECT
    customer, _project_path, 'thread', _session_id, ts, activity_id, _session_id, link, activity = 'user_asked',
    OBJECT_CONSTRUCT('prompt', LEFT(feature_json:prompt_text::VARCHAR, 500))
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE
    METADATA$ACTION = 'INSERT' AND customer IS NOT NULL AND _session_id IS NOT NULL
    AND activity IN ('user_asked', 'session_ended')

UNION ALL

SELECT
    customer, _project_path, 'query', activity_id::VARCHAR, ts, activity_id, _session_id, link, NULL,
    OBJECT_CONSTRUCT(
        'sql', LEFT(feature_json:sql::VARCHAR, 500),
        'rows', TRY_CAST(feature_json:rows::VARCHAR AS BIGINT),
        'warehouse', feature_json:warehouse::VARCHAR
    )
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE
    METADATA$ACTION = 'INSERT' AND customer IS NOT NULL
    AND activity IN ('sql_executed', 'query_complete')
    AND TRY_TO_BOOLEAN(feature_json:success::VARCHAR);

-- Of each key the latest stays, wherever it was (a session may change its folder), …
DELETE FROM CONTEXT_INPUTS
USING (
    SELECT customer, kind, key, activity_id
    FROM CONTEXT_INPUTS
    WHERE customer IN (SELECT customer FROM REFRESH_CONTEXT_INPUTS_CHANGES)
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer, kind, key ORDER BY ts DESC, activity_id DESC) > 1
) AS older
WHERE
    CONTEXT_INPUTS.customer = older.customer AND CONTEXT_INPUTS.kind = older.kind
    AND CONTEXT_INPUTS.key = older.key AND CONTEXT_INPUTS.activity_id = older.activity_id;

-- … and of each kind the latest few.
DELETE FROM CONTEXT_INPUTS
USING (
    SELECT customer, kind, key, activity_id
    FROM CONTEXT_INPUTS
    WHERE customer IN (SELECT customer FROM REFRESH_CONTEXT_INPUTS_CHANGES)
    QUALIFY
        ROW_NUMBER() OVER (PARTITION BY customer, project_path, kind ORDER BY ts DESC, activity_id DESC) > 20
        OR ROW_NUMBER() OVER (PARTITION BY customer, kind ORDER BY ts DESC, activity_id DESC) > 100
) AS many
WHERE
    CONTEXT_INPUTS.customer = many.customer AND CONTEXT_INPUTS.kind = many.kind
    AND CONTEXT_INPUTS.key = many.key AND CONTEXT_INPUTS.activity_id = many.activity_id;
