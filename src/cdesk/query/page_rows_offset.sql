-- How far the rollup is: the last commit of the stream that it counts; -1, or no row, before it counted any.
-- Takes: nothing. Gives: seq.
SELECT seq
FROM _STREAM_OFFSETS
WHERE stream_name = 'ROLL_UP_ACTIVITY_CHANGES'
