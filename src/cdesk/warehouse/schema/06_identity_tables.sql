-- Who did what, as people say it later: recorded operations, and what was told beside what is shown.
-- Takes: CLAUDE_STREAM_V2. Gives: its column _told_customer; IDENTITY_OPERATION, where they are missing.
-- Never edited once released.

-- The customer a fact was told with, where an operation shows it under another one; else null: as shown.
ALTER TABLE CLAUDE_STREAM_V2 ADD COLUMN IF NOT EXISTS _told_customer VARCHAR;

-- One row for each operation, in the order in which they were said. An operation stands until it is undone.
--   kind      subject                  customer
--   link      anonymous_customer_id    whose it is, known at identified_at
--   alias     customer                 who that is
--   remove    customer                 null
--   correct   activity_id              whose the fact is
-- counts: rows of each customer that gained or lost some, before and after. is_settled: false while rows are being
-- rewritten, so that a rewriting that was cut short goes on.
CREATE TABLE IF NOT EXISTS IDENTITY_OPERATION (
    number INTEGER NOT NULL,
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    customer VARCHAR,
    identified_at TIMESTAMP_NTZ,
    reason VARCHAR,
    said_by VARCHAR,
    said_at TIMESTAMP_NTZ NOT NULL,
    rows_changed BIGINT NOT NULL,
    counts VARIANT,
    undone_by VARCHAR,
    undone_at TIMESTAMP_NTZ,
    undone_reason VARCHAR,
    rows_restored BIGINT,
    is_settled BOOLEAN NOT NULL
);
