-- The latest things that went wrong for Claude: tool calls and API requests.
-- Takes: :since, {rows_max}. Gives: activity_id, ts, session_id, activity.
SELECT activity_id, ts, session_id, activity
FROM V_ROLLUP_ROWS
WHERE
    ts >= :since
    AND (
        activity = 'api_request_failed'
        OR (activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') AND NOT is_success)
    )
ORDER BY ts DESC, activity_id DESC
LIMIT {rows_max}
