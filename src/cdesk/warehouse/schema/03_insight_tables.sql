-- Insight atoms: the only authoritative memory. One row is one figure with its unit, grain, validity and derivation.
-- Takes: nothing. Gives: INSIGHT_ATOMS, where it is missing.
-- Never edited once released.

-- id is derived from what the atom says of whom and when (customer, subject, metric, grain, filter, valid_from), so
-- that calculating it twice changes nothing. A later value supersedes an earlier one: superseded_by names it, and the
-- earlier one stays. derivation names the template or task with its parameters and the features it read
-- ({"task": …, "features": ["tool_called.duration_ms", …]}): what drifts there puts the atom into quarantine.
CREATE TABLE IF NOT EXISTS INSIGHT_ATOMS (
    id VARCHAR NOT NULL,
    ts TIMESTAMP_NTZ NOT NULL,
    customer VARCHAR NOT NULL,
    org_id VARCHAR,
    subject VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value VARIANT,
    unit VARCHAR,
    grain VARCHAR,
    filter_json VARIANT,
    confidence DOUBLE,
    quality_score DOUBLE,
    artifact_id VARCHAR,
    provenance_query_id VARCHAR,
    derivation_method VARCHAR,
    derivation VARIANT,
    valid_from TIMESTAMP_NTZ NOT NULL,
    valid_until TIMESTAMP_NTZ,
    superseded_by VARCHAR,
    is_stale BOOLEAN,
    usage_count INTEGER,
    last_used_at TIMESTAMP_NTZ,
    schema_version INTEGER,
    is_quarantined BOOLEAN,
    quarantine_reason VARCHAR,
    _seq BIGINT DEFAULT 0,
    _first_seq BIGINT DEFAULT 0
);
