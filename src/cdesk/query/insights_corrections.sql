-- What people said about an atom, in order.
-- Takes: :id. Gives: activity_id, ts, customer, action, statement, reason.
SELECT activity_id::VARCHAR, ts, customer, action, statement, reason
FROM INSIGHT_SAID
WHERE atom_id = :id AND action <> 'record'
ORDER BY ts, activity_id
