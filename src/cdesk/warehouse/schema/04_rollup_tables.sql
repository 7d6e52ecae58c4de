-- What tasks keep beside the stream so that nobody has to count it again: docs/rollups.md has grains and formulas.
-- Takes: nothing. Gives: OCCURRENCE_STATE, OCCURRENCE_TOUCHED, ACTIVITY_ROLLUP, LATENCY_ROLLUP, LINK_ROLLUP,
-- ROLLUP_CHANGED, STATEMENT_ROLLUP, METRICS_DUE, where they are missing.
-- Never edited once released.

-- How often a customer (without one, the machine) did an activity so far, and the last time.
CREATE TABLE IF NOT EXISTS OCCURRENCE_STATE (
    customer VARCHAR,
    activity VARCHAR NOT NULL,
    occurrences BIGINT NOT NULL,
    last_ts TIMESTAMP_NTZ NOT NULL,
    last_id VARCHAR(36) NOT NULL
);

-- The form of what the task number_occurrences works with during a run: the pairs that changed. Itself always empty.
-- occurrences: now · low_ts: the earliest change · prev: the row before it · last: the row that is last now.
CREATE TABLE IF NOT EXISTS OCCURRENCE_TOUCHED (
    customer VARCHAR,
    activity VARCHAR NOT NULL,
    occurrences BIGINT NOT NULL,
    low_ts TIMESTAMP_NTZ NOT NULL,
    prev_ts TIMESTAMP_NTZ,
    prev_id VARCHAR(36),
    last_ts TIMESTAMP_NTZ,
    last_id VARCHAR(36)
);

-- The stream by hour and by all that reports tell apart. Counts and sums only, so that a change is added and its
-- predecessor taken off. name: the tool of a call, the model of an answer. is_success: of what can fail.
CREATE TABLE IF NOT EXISTS ACTIVITY_ROLLUP (
    hour TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    session_id VARCHAR,
    project_path VARCHAR,
    git_branch VARCHAR,
    activity VARCHAR NOT NULL,
    name VARCHAR,
    is_success BOOLEAN,
    is_counted BOOLEAN,
    activities BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    priced BIGINT NOT NULL,
    cost_usd DOUBLE NOT NULL,
    unpriced BIGINT NOT NULL,
    unpriced_shown BIGINT NOT NULL,
    tokens_shown NUMBER(38, 0) NOT NULL,
    total_tokens NUMBER(38, 0) NOT NULL,
    prompt_tokens NUMBER(38, 0) NOT NULL,
    completion_tokens NUMBER(38, 0) NOT NULL,
    cache_creation_tokens NUMBER(38, 0) NOT NULL,
    cache_read_tokens NUMBER(38, 0) NOT NULL
)
CLUSTER BY (hour);

-- How long things took: how many calls of an hour took so many ms, to three significant digits.
-- kind: tool, mcp or llm (the whole answer). name: the tool.
CREATE TABLE IF NOT EXISTS LATENCY_ROLLUP (
    hour TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    kind VARCHAR NOT NULL,
    name VARCHAR,
    latency_ms DOUBLE NOT NULL,
    calls BIGINT NOT NULL
)
CLUSTER BY (hour);

-- What activities of an hour were linked to.
CREATE TABLE IF NOT EXISTS LINK_ROLLUP (
    hour TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    link VARCHAR NOT NULL,
    activities BIGINT NOT NULL
)
CLUSTER BY (hour);

-- The form of what the task roll_up_activity works with during a run: what changed, with types. Itself always empty.
-- sign: 1 as it is now, -1 as it was.
-- What ends in _shown, and tokens_in_out, are by the rules of the page.
CREATE TABLE IF NOT EXISTS ROLLUP_CHANGED (
    hour TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    session_id VARCHAR,
    project_path VARCHAR,
    git_branch VARCHAR,
    activity VARCHAR NOT NULL,
    kind VARCHAR,
    sign INTEGER NOT NULL,
    revenue_impact DOUBLE,
    link VARCHAR,
    model VARCHAR,
    is_counted_shown BOOLEAN,
    tokens_in_out NUMBER(38, 0),
    tokens_shown NUMBER(38, 0),
    tool VARCHAR,
    is_success BOOLEAN,
    latency_ms DOUBLE,
    tool_use_id VARCHAR,
    severity VARCHAR,
    is_counted BOOLEAN,
    cost_usd DOUBLE,
    total_tokens NUMBER(38, 0),
    prompt_tokens NUMBER(38, 0),
    completion_tokens NUMBER(38, 0),
    cache_creation_tokens NUMBER(38, 0),
    cache_read_tokens NUMBER(38, 0)
);

-- Statements run for an answer, and what they say of themselves: few, and the document of none has to be read again.
CREATE TABLE IF NOT EXISTS STATEMENT_ROLLUP (
    activity_id VARCHAR(36) NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR,
    activity VARCHAR NOT NULL,
    query_id VARCHAR,
    success BOOLEAN,
    link VARCHAR,
    credits_used DOUBLE
);

-- Hours of customers whose figures have to be calculated again: roll_up_activity adds, calculate_metrics takes.
CREATE TABLE IF NOT EXISTS METRICS_DUE (
    hour TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL
);
