-- The same sums from the rollup, what changed since it was brought up to date, and the hours that are cut.
-- Takes: as page_rows, and {offset}: a number that the rollup's offset has reached, so that the stream is read from there.
-- Gives: as page_rows; ts of a whole hour is its beginning, and what was there before a change counts -1.
SELECT
    hour AS ts, customer, session_id, project_path, activity, name, is_success, is_counted, activities, priced, cost_usd,
    unpriced_shown, tokens_shown
FROM (SELECT *, hour AS ts FROM ACTIVITY_ROLLUP) AS rolled
WHERE hour >= {since} AND NOT ({cut})
UNION ALL
SELECT
    DATE_TRUNC('HOUR', ts) AS ts, customer, session_id, project_path, activity, name, is_success, is_counted, activities,
    priced, cost_usd, unpriced_shown, tokens_shown
FROM V_ROLLUP_ROWS
WHERE
    _seq > {offset} AND _seq > (SELECT seq FROM _STREAM_OFFSETS WHERE stream_name = 'ROLL_UP_ACTIVITY_CHANGES')
    AND ts >= {since} AND NOT ({cut})
UNION ALL
SELECT
    DATE_TRUNC('HOUR', ts) AS ts, customer, session_id, project_path, activity, name, is_success, is_counted,
    -activities AS activities, -priced AS priced, -cost_usd AS cost_usd, -unpriced_shown AS unpriced_shown,
    -tokens_shown AS tokens_shown
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY activity_id ORDER BY _replaced_seq) AS replacement
    FROM V_ROLLUP_ROWS_BEFORE
    WHERE
        _replaced_seq > {offset}
        AND _replaced_seq > (SELECT seq FROM _STREAM_OFFSETS WHERE stream_name = 'ROLL_UP_ACTIVITY_CHANGES')
        AND _first_seq <= (SELECT seq FROM _STREAM_OFFSETS WHERE stream_name = 'ROLL_UP_ACTIVITY_CHANGES')
) AS images
WHERE replacement = 1 AND ts >= {since} AND NOT ({cut})
UNION ALL
SELECT
    ts, customer, session_id, project_path, activity, name, is_success, is_counted, activities, priced, cost_usd,
    unpriced_shown, tokens_shown
FROM V_ROLLUP_ROWS
WHERE ts >= {since} AND ({cut})
