-- When each project was answered last.
-- Takes: :start, {hours} (conditions on ts: where to look). Gives: project, newest.
SELECT _project_path AS project, MAX(ts) AS newest
FROM CLAUDE_STREAM_V2
WHERE
    activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
    AND ts >= :start AND ({hours})
GROUP BY 1
