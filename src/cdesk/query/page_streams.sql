-- How far behind each consumer of a change stream is; a consumer that is behind costs what it is behind.
-- Takes: nothing. Gives: name, reads, pending, oldest, lag_s.
SELECT
    stream_name AS name,
    source_table AS reads,
    pending_records AS pending,
    oldest_record AS oldest,
    max_lag_seconds AS lag_s
FROM V_STREAM_LAG
ORDER BY stream_name
