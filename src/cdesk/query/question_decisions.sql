-- What was decided about questions, in order.
-- Takes: nothing. Gives: question, checksum, state, decided_by, decided_at, reason.
SELECT question, checksum, state, decided_by, decided_at, reason
FROM QUESTION_DECISIONS
ORDER BY number
