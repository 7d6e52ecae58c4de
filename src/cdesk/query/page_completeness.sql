-- What each source could have seen, and saw.
-- Takes: nothing. Gives: source, facts, seen, repaired.
SELECT source, facts, seen, repaired
FROM V_COMPLETENESS_OVERALL
