-- What each source should have seen, and saw.
-- Takes: nothing. Gives: source, expected, seen.
SELECT source, SUM(expected) AS expected, SUM(seen) AS seen
FROM V_COMPLETENESS
GROUP BY source
