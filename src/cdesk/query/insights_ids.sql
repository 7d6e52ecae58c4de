-- Atoms whose id begins so.
-- Takes: :beginning. Gives: id; three at most.
SELECT id FROM INSIGHT_ATOMS WHERE STARTS_WITH(id, :beginning) ORDER BY LENGTH(id), id LIMIT 3
