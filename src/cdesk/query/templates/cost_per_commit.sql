-- question: cost_per_commit
-- title: What a commit and a pull request cost
-- description: Dollars by project, with the commits and pull requests that Claude made there by command; the dearest first.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- parameter: project folder optional: only what was done there
-- column: project text: its folder
-- column: commits integer in commits: `git commit` that went through
-- column: pull_requests integer in pull requests: `gh pr create` that went through
-- column: cost_usd number in USD: null where no price is known
-- column: cost_per_commit_usd number in USD: null without a commit
-- column: cost_per_pull_request_usd number in USD: null without a pull request
-- roles: owner, admin, analyst, engineer, agent, auditor
-- access: figures
-- cap: 1 GB
-- cache: 24 h
-- chart: bars project cost_per_commit_usd
-- reads: stream, rollups

WITH commands AS (
    SELECT
        project_path,
        COUNT_IF(parameters:command::VARCHAR LIKE '%git commit%' OR parameters:command::VARCHAR LIKE '%git -C % commit%') AS commits,
        COUNT_IF(parameters:command::VARCHAR LIKE '%gh pr create%') AS pull_requests
    FROM VW_TOOL_EVENTS
    WHERE
        tool_name_normalized = 'Bash' AND success AND ts >= :since
        AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    GROUP BY 1
),

spent AS (
    SELECT
        project_path,
        IFF(SUM(priced) > 0, ROUND(SUM(cost_usd), 9), NULL) AS cost_usd
    FROM ACTIVITY_ROLLUP
    WHERE
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND is_counted
        AND hour >= :since AND (CAST(:project AS VARCHAR) IS NULL OR project_path = :project)
    GROUP BY 1
    HAVING SUM(activities) > 0
)

SELECT
    spent.project_path AS project,
    COALESCE(commands.commits, 0) AS commits,
    COALESCE(commands.pull_requests, 0) AS pull_requests,
    spent.cost_usd,
    ROUND(spent.cost_usd / NULLIF(commands.commits, 0), 9) AS cost_per_commit_usd,
    ROUND(spent.cost_usd / NULLIF(commands.pull_requests, 0), 9) AS cost_per_pull_request_usd
FROM spent
LEFT JOIN commands ON EQUAL_NULL(spent.project_path, commands.project_path)
ORDER BY 4 DESC NULLS LAST, 1
