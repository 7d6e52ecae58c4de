-- task: note_signals
-- meaning: commands, edits, prompts and tasks of the last 14 days, narrow enough for detectors to look through
-- reads: NOTE_SIGNALS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 30 s
-- writes: SIGNAL, SIGNAL_DUE

-- Each changed activity is read once; detectors never open a document. A call that was refused or broken off tells nothing
-- about its command. Of a pipe only the last part's outcome is told: where that is success, the command's is not known.
-- Words that consent hashed are none.
-- The folder changed into, and pipes that only shorten what is shown, are not part of a command's name.

DELETE FROM SIGNAL
WHERE activity_id IN (SELECT activity_id FROM NOTE_SIGNALS_CHANGES WHERE METADATA$ACTION = 'DELETE');

INSERT INTO SIGNAL (
    activity_id, ts, customer, project_path, session_id, kind, key, is_look, is_ok, amount, text
)
WITH told AS (
    SELECT
        activity_id,
        ts,
        customer,
        _project_path,
        _session_id,
        activity,
        feature_json,
        CASE
            WHEN activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') THEN 'tool'
            WHEN activity IN ('file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed') THEN 'edit'
            WHEN activity = 'user_asked' THEN 'prompt'
            WHEN activity IN ('task_created', 'task_completed') THEN 'task'
            WHEN activity = 'session_ended' THEN 'end'
        END AS kind
    FROM NOTE_SIGNALS_CHANGES
    WHERE
        METADATA$ACTION = 'INSERT' AND customer IS NOT NULL AND _session_id IS NOT NULL
        AND ts >= DATEADD(DAY, -14, :now)
        AND activity IN (
            'tool_called', 'claude_tool_call', 'tool_call', 'tool_execution', 'file_created', 'file_written',
            'file_edited', 'file_deleted', 'file_renamed', 'user_asked', 'task_created', 'task_completed',
            'session_ended'
        )
),

calls AS (
    SELECT
        *,
        feature_json:tool_name::VARCHAR AS tool_name,
        TRY_TO_BOOLEAN(feature_json:success::VARCHAR) AS success,
        feature_json:error::VARCHAR AS error
    FROM told
    WHERE kind = 'tool'
),

ran AS (
    SELECT
        *,
        TRIM(REGEXP_REPLACE(
            LEFT(IFF(tool_name = 'Bash', feature_json:parameters.command::VARCHAR, NULL), 2000), '\\s+', ' '
        )) AS command,
        REGEXP_REPLACE(error, '^Exit code [0-9]+\\s*', '') AS message
    FROM calls
    WHERE
        success IS NOT NULL
        AND (tool_name IN ('Bash', 'WebFetch', 'WebSearch') OR STARTSWITH(tool_name, 'mcp__'))
        AND COALESCE(feature_json:permission_decision::VARCHAR, '') <> 'reject'
        AND NOT COALESCE(TRY_TO_BOOLEAN(feature_json:interrupted::VARCHAR), FALSE)
        AND (
            success OR error IS NULL OR NOT (
                STARTSWITH(error, '<tool_use_error>') OR STARTSWITH(error, 'Permission to use')
                OR STARTSWITH(error, 'Claude requested permissions') OR STARTSWITH(error, 'PreToolUse:')
                OR CONTAINS(error, 'The user doesn''t want to')
            )
        )
),

named AS (
    SELECT
        *,
        LEFT(TRIM(REGEXP_REPLACE(
            REGEXP_REPLACE(command, '^cd [^&;|]+ && ', ''),
            '( 2>&1)?( \\| (tail|head)( -n)?( -?[0-9]+)?)*( 2>&1)?$', ''
        )), 300) AS key,
        REGEXP_REPLACE(command, '[0-9]?>(&[0-9]|/dev/null)', '') AS bare
    FROM ran
)

SELECT
    activity_id,
    ts,
    customer,
    _project_path,
    _session_id,
    IFF(tool_name = 'Bash', 'command', 'tool'),
    IFF(tool_name = 'Bash', key, tool_name),
    COALESCE(REGEXP_LIKE(
        bare,
        '(cd [^&;|]+ && )?(ls|ll|cat|head|tail|less|wc|find|fd|grep|rg|ag|tree|pwd|which|type|stat|file|du|df|ps|date|env|echo|test|whoami|jq|diff|sleep|cd|git (status|log|diff|show|branch|grep|blame|remote)|gh (pr|issue|run) (view|list|checks|status))( [^;&><`$]*)?'
    ), FALSE),
    IFF(success AND CONTAINS(command, '|'), NULL, success),
    TRY_TO_DOUBLE(feature_json:latency_ms::VARCHAR),
    IFF(success, NULL, LEFT(TRIM(COALESCE(
        REGEXP_SUBSTR(message, '[^\\n]*(Error|error:|ERROR|FAILED|not found|No such file|cannot |denied)[^\\n]*'),
        SPLIT_PART(message, CHR(10), 1)
    )), 200))
FROM named
WHERE tool_name <> 'Bash' OR key <> ''

UNION ALL

SELECT
    activity_id, ts, customer, _project_path, _session_id, kind,
    CASE kind
        WHEN 'edit' THEN feature_json:file_path::VARCHAR
        WHEN 'prompt' THEN feature_json:prompt_hash::VARCHAR
        WHEN 'task' THEN feature_json:task_id::VARCHAR
        ELSE _session_id
    END,
    FALSE,
    CASE kind WHEN 'edit' THEN TRUE WHEN 'task' THEN activity = 'task_completed' END,
    NULL,
    CASE kind
        WHEN 'prompt' THEN LEFT(IFF(STARTSWITH(feature_json:prompt_text::VARCHAR, '[hashed:'), NULL, feature_json:prompt_text::VARCHAR), 300)
        WHEN 'task' THEN LEFT(IFF(STARTSWITH(feature_json:title::VARCHAR, '[hashed:'), NULL, feature_json:title::VARCHAR), 200)
    END
FROM told
WHERE
    (kind = 'edit' AND feature_json:file_path::VARCHAR <> ''
        AND COALESCE(TRY_TO_BOOLEAN(feature_json:success::VARCHAR), TRUE))
    OR (kind = 'prompt' AND feature_json:prompt_hash::VARCHAR <> '' AND feature_json:prompt_kind::VARCHAR = 'human')
    OR (kind = 'task' AND feature_json:task_id::VARCHAR <> '')
    OR kind = 'end';

INSERT INTO SIGNAL_DUE (customer)
SELECT DISTINCT customer
FROM NOTE_SIGNALS_CHANGES
WHERE
    customer IS NOT NULL
    AND activity IN (
        'tool_called', 'claude_tool_call', 'tool_call', 'tool_execution', 'file_created', 'file_written', 'file_edited',
        'file_deleted', 'file_renamed', 'user_asked', 'task_created', 'task_completed', 'session_ended'
    );
