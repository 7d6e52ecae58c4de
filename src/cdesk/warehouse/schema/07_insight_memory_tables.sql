-- What insight atoms are made from beside rollups: what was recorded, and what happened lately, narrow enough to be looked
-- through again and again.
-- Takes: INSIGHT_ATOMS. Gives: its column is_silenced; INSIGHT_SAID, INSIGHT_TOUCHED, RECORDED_ATOM, SIGNAL,
-- SIGNAL_DUE, SIGNAL_NOW, DETECTED_ATOM, where they are missing.
-- Never edited once released.

-- A person does not want to hear it any more; it stays, and can be restored.
ALTER TABLE INSIGHT_ATOMS ADD COLUMN IF NOT EXISTS is_silenced BOOLEAN;

-- One row for each insight_recorded and insight_corrected. action: record, silence, restore, correct. atom_id: the atom
-- that is replaced, corrected, silenced or restored. evidence: a JSON array of activity ids.
CREATE TABLE IF NOT EXISTS INSIGHT_SAID (
    activity_id VARCHAR(36) NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL,
    org_id VARCHAR,
    project_path VARCHAR,
    action VARCHAR NOT NULL,
    atom_id VARCHAR,
    subject VARCHAR,
    metric VARCHAR,
    statement VARCHAR,
    value VARIANT,
    unit VARCHAR,
    grain VARCHAR,
    confidence DOUBLE,
    valid_until TIMESTAMP_NTZ,
    evidence VARIANT,
    author VARCHAR,
    reason VARCHAR
);

-- Scratch of record_insights: about whose atoms something was said.
CREATE TABLE IF NOT EXISTS INSIGHT_TOUCHED (
    customer VARCHAR NOT NULL
);

-- Scratch of record_insights: the atoms as they should be. said: the value, else the statement, to compare by.
CREATE TABLE IF NOT EXISTS RECORDED_ATOM (
    id VARCHAR NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL,
    org_id VARCHAR,
    project_path VARCHAR,
    subject VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    statement VARCHAR,
    value VARIANT,
    said VARCHAR,
    unit VARCHAR,
    grain VARCHAR,
    confidence DOUBLE,
    valid_until TIMESTAMP_NTZ,
    evidence VARIANT,
    author VARCHAR,
    replaces VARCHAR,
    reason VARCHAR,
    superseded_by VARCHAR
);

-- What detectors look at, of the last 14 days; one row for each activity that is of use to them.
--   kind      key                     text                      amount
--   command   the command             the failure's first line  milliseconds it took
--   tool      the tool's name         the failure's first line  milliseconds it took
--   edit      the file
--   prompt    the prompt's hash       the prompt
--   task      the task's number       its title; is_ok: it was completed
--   end       the session
-- is_look: the command only looks, and changes nothing. is_ok: null where the outcome is not known.
CREATE TABLE IF NOT EXISTS SIGNAL (
    activity_id VARCHAR(36) NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL,
    project_path VARCHAR,
    session_id VARCHAR,
    kind VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    is_look BOOLEAN NOT NULL,
    is_ok BOOLEAN,
    amount DOUBLE,
    text VARCHAR
);

-- Customers whose signals changed since detectors last looked; the same one may be there more than once.
CREATE TABLE IF NOT EXISTS SIGNAL_DUE (
    customer VARCHAR NOT NULL
);

-- Scratch of detect_patterns: those of them that it looks at now.
CREATE TABLE IF NOT EXISTS SIGNAL_NOW (
    customer VARCHAR NOT NULL
);

-- Scratch of detect_patterns: what was found. key: what it is about, of which there is one atom. evidence: ids of
-- activities with blanks in between.
CREATE TABLE IF NOT EXISTS DETECTED_ATOM (
    rule VARCHAR NOT NULL,
    customer VARCHAR NOT NULL,
    project_path VARCHAR,
    key VARCHAR NOT NULL,
    fix VARCHAR,
    value DOUBLE,
    confidence DOUBLE,
    first_ts TIMESTAMP_NTZ NOT NULL,
    last_ts TIMESTAMP_NTZ NOT NULL,
    statement VARCHAR NOT NULL,
    evidence VARCHAR NOT NULL
);
