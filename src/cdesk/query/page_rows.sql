-- Activities as the rollup would count them, one by one.
-- Takes: {since}, {cut} (conditions on ts). Gives: ts, customer, session_id, project_path, activity, name (the tool of a
-- call, the model of an answer), is_success (of calls), is_counted (of answers), activities, priced, cost_usd,
-- unpriced_shown, tokens_shown.
SELECT
    ts, customer, session_id, project_path, activity, name, is_success, is_counted, activities, priced, cost_usd,
    unpriced_shown, tokens_shown
FROM V_ROLLUP_ROWS
WHERE ts >= {since} AND {cut}
