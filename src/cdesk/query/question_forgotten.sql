-- Forgets what was answered before; what was asked stays in the query log.
-- Takes: :before (UTC). Gives: nothing.
DELETE FROM QUESTION_ANSWERS WHERE asked_at < :before
