-- Atoms that an atom has superseded, latest first.
-- Takes: :id, :rows_max. Gives: id.
SELECT id FROM INSIGHT_ATOMS WHERE superseded_by = :id ORDER BY valid_from DESC, id LIMIT :rows_max
