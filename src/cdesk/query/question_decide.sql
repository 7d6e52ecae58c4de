-- Takes note of a decision.
-- Takes: :question, :checksum, :state, :by, :now (UTC), :reason (NULL: none). Gives: nothing.
INSERT INTO QUESTION_DECISIONS (number, question, checksum, state, decided_by, decided_at, reason)
SELECT COALESCE(MAX(number), 0) + 1, :question, :checksum, :state, :by, :now, :reason
FROM QUESTION_DECISIONS
