-- What change streams stand on where the engine has none of its own (Snowflake has: there these stay unused).
-- Takes: CLAUDE_STREAM_V2. Gives: its columns _seq and _first_seq; _STREAM_BEFORE, _STREAM_OFFSETS, where missing.
-- Never edited once released.

-- Every commit that writes the stream has a number, in the order of commits. _seq: the one that wrote the row last,
-- _first_seq: the one that first did. Rows that were there before such numbers have 0. Derived columns
-- (activity_occurrence, activity_repeated_at) are written without a new number: they are no news to anybody.
-- 01_tables.sql makes the columns with their default; an older table gets them here, without one, because Snowflake takes no
-- IF NOT EXISTS beside a DEFAULT.
ALTER TABLE CLAUDE_STREAM_V2 ADD COLUMN IF NOT EXISTS _seq BIGINT;
ALTER TABLE CLAUDE_STREAM_V2 ADD COLUMN IF NOT EXISTS _first_seq BIGINT;
UPDATE CLAUDE_STREAM_V2
SET _seq = 0, _first_seq = 0
WHERE _seq IS NULL;

-- Rows as they stood before a commit replaced or deleted them: one row for each such replacement, until every consumer
-- has passed it. _replaced_seq: number of that commit.
CREATE TABLE IF NOT EXISTS _STREAM_BEFORE (
    _replaced_seq BIGINT NOT NULL,
    activity_id VARCHAR(36) NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    anonymous_customer_id VARCHAR,
    activity VARCHAR NOT NULL,
    feature_json VARIANT,
    revenue_impact DOUBLE,
    link VARCHAR,
    _org_id VARCHAR,
    _session_id VARCHAR,
    _source VARCHAR,
    _first_seq BIGINT,
    _project_path VARCHAR,
    _model VARCHAR,
    _speed VARCHAR,
    _is_counted BOOLEAN,
    _prompt_tokens BIGINT,
    _completion_tokens BIGINT,
    _cache_creation_5m_tokens BIGINT,
    _cache_creation_1h_tokens BIGINT,
    _cache_read_tokens BIGINT
);

-- How far each consumer of a change stream has come: everything up to and including seq is done.
CREATE TABLE IF NOT EXISTS _STREAM_OFFSETS (
    stream_name VARCHAR NOT NULL,
    source_table VARCHAR NOT NULL,
    seq BIGINT NOT NULL,
    updated_at TIMESTAMP_NTZ NOT NULL
);
