-- question: cost_by_tool
-- title: What each tool's answers cost
-- description: Tokens and dollars of an answer are shared equally among the tools it called; the dearest first, over everything kept.
-- version: 1
-- column: tool text: its name
-- column: cost_usd number in USD: null where no answer is known or priced
-- column: tokens number in tokens: of all kinds
-- column: calls integer in calls: of Claude
-- column: cost_per_call_usd number in USD: on average
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 4 GB
-- cache: 24 h
-- chart: bars tool cost_usd
-- reads: stream

SELECT
    tool_name AS tool,
    ROUND(total_cost, 9) AS cost_usd,
    ROUND(total_tokens, 0) AS tokens,
    usage_count AS calls,
    ROUND(total_cost / NULLIF(usage_count, 0), 9) AS cost_per_call_usd
FROM V_TOOL_USAGE_ANALYTICS
ORDER BY 2 DESC NULLS LAST, 1
LIMIT 200;

SELECT activity_id
FROM VW_TOOL_EVENTS
WHERE EQUAL_NULL(tool_name_normalized, CAST(:row_tool AS VARCHAR))
ORDER BY ts DESC, activity_id
LIMIT 1000
