-- What each source could have seen, and saw.
-- Takes: nothing. Gives: source, sessions, facts, seen, missed, repaired, completeness_pct.
SELECT source, sessions, facts, seen, missed, repaired, completeness_pct
FROM V_COMPLETENESS_OVERALL
ORDER BY source
