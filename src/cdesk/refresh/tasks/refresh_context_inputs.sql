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
WITH told AS (
    SELECT
        *,
        CASE
            WHEN activity IN ('file_read', 'file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed')
                THEN 'file'
            WHEN activity IN ('user_asked', 'session_ended') THEN 'thread'
            WHEN activity IN ('sql_executed', 'query_complete') THEN 'query'
            ELSE 'failure'
        END AS kind
    FROM REFRESH_CONTEXT_INPUTS_CHANGES
    WHERE
        METADATA$ACTION = 'INSERT' AND customer IS NOT NULL
        AND activity IN (
            'api_request_failed', 'tool_called', 'claude_tool_call', 'tool_call', 'tool_execution',
            'file_read', 'file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed',
            'user_asked', 'session_ended', 'sql_executed', 'query_complete'
        )
),

named AS (
    SELECT
        *,
        CASE kind
            WHEN 'file' THEN feature_json:file_path::VARCHAR
            WHEN 'thread' THEN _session_id
            ELSE activity_id::VARCHAR
        END AS key,
        IFF(
            kind = 'query' OR (kind = 'failure' AND activity <> 'api_request_failed'),
            feature_json:success::VARCHAR, NULL
        ) AS success
    FROM told
),

-- Most calls did not fail: of the others no more is read. Documents are not sorted, only what is kept of them.
said AS (
    SELECT
        customer, _project_path, kind, key, ts, activity_id, _session_id, link, activity,
        CASE kind
            WHEN 'failure' THEN feature_json:tool_name::VARCHAR
            WHEN 'file' THEN feature_json:operation::VARCHAR
            WHEN 'query' THEN feature_json:warehouse::VARCHAR
        END AS name,
        CASE kind
            WHEN 'failure' THEN LEFT(feature_json:error::VARCHAR, 500)
            WHEN 'thread' THEN LEFT(feature_json:prompt_text::VARCHAR, 500)
            WHEN 'query' THEN LEFT(feature_json:sql::VARCHAR, 500)
        END AS text,
        CASE kind
            WHEN 'failure' THEN feature_json:error_type::VARCHAR
            WHEN 'query' THEN feature_json:rows::VARCHAR
        END AS more
    FROM named
    WHERE
        key IS NOT NULL
        AND (
            kind IN ('file', 'thread') OR activity = 'api_request_failed'
            OR TRY_TO_BOOLEAN(success) = (kind = 'query')
        )
),

latest AS (
    SELECT *
    FROM said
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer, kind, key ORDER BY ts DESC, activity_id DESC) = 1
)

SELECT
    customer, _project_path, kind, key, ts, activity_id, _session_id, link,
    IFF(kind = 'thread', activity = 'user_asked', NULL),
    CASE kind
        WHEN 'failure' THEN OBJECT_CONSTRUCT('tool', name, 'error_type', more, 'error', text)
        WHEN 'file' THEN OBJECT_CONSTRUCT('operation', name)
        WHEN 'thread' THEN OBJECT_CONSTRUCT('prompt', text)
        ELSE OBJECT_CONSTRUCT('sql', text, 'rows', TRY_CAST(more AS BIGINT), 'warehouse', name)
    END
FROM latest

UNION ALL

SELECT
    customer, MAX_BY(_project_path, ts), 'session', _session_id, MAX(ts), MAX_BY(activity_id, ts), _session_id,
    NULL, NULL, NULL
FROM REFRESH_CONTEXT_INPUTS_CHANGES
WHERE METADATA$ACTION = 'INSERT' AND customer IS NOT NULL AND _session_id IS NOT NULL
GROUP BY customer, _session_id;

-- Of each key the latest stays, wherever it was (a session may change its folder), and of each kind the latest few.
DELETE FROM CONTEXT_INPUTS
USING (
    SELECT customer, kind, key, activity_id
    FROM (
        SELECT
            customer, project_path, kind, key, ts, activity_id,
            ROW_NUMBER() OVER (PARTITION BY customer, kind, key ORDER BY ts DESC, activity_id DESC) > 1 AS is_older
        FROM CONTEXT_INPUTS
        WHERE customer IN (SELECT customer FROM REFRESH_CONTEXT_INPUTS_CHANGES)
    ) AS known
    QUALIFY
        is_older
        OR ROW_NUMBER() OVER (
            PARTITION BY customer, project_path, kind ORDER BY is_older, ts DESC, activity_id DESC
        ) > 20
        OR ROW_NUMBER() OVER (PARTITION BY customer, kind ORDER BY is_older, ts DESC, activity_id DESC) > 100
) AS many
WHERE
    CONTEXT_INPUTS.customer = many.customer AND CONTEXT_INPUTS.kind = many.kind
    AND CONTEXT_INPUTS.key = many.key AND CONTEXT_INPUTS.activity_id = many.activity_id;
