-- Where activities that leave the catalog's shape are told apart, kept and waited for.
-- Takes: nothing. Gives: SCHEMA_DRIFT, QUARANTINE, CATALOG_ADDITION, _DRIFT_COUNTED, where they are missing.
-- Never edited once released.

-- One row for each way in which one activity left the catalog's shape. key: the feature, empty for an activity's name.
-- kind: new_key, inconsistent_type, wrong_type, missing_key, unknown_activity, too_many_keys, too_many_activities.
-- expected, actual: kinds of value. severity: error (rows are set aside), warning or info. status: open, accepted (the
-- catalog of this warehouse was extended) or released (the rows went in, the catalog stayed). revision: how often the
-- status changed. occurrences: activities that came so, each counted once. sample_json: the first one's features, every
-- value replaced by its kind. schema_version: the activity's, when it was opened or accepted.
CREATE TABLE IF NOT EXISTS SCHEMA_DRIFT (
    id VARCHAR(36) NOT NULL,
    kind VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    activity VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    expected VARCHAR,
    actual VARCHAR,
    severity VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    revision INTEGER NOT NULL,
    first_seen TIMESTAMP_NTZ NOT NULL,
    last_seen TIMESTAMP_NTZ NOT NULL,
    changed_at TIMESTAMP_NTZ NOT NULL,
    occurrences BIGINT NOT NULL,
    sample_json VARIANT,
    schema_version VARCHAR
);

-- Activities that were set aside. id is derived from the line, so that the same line is here once. line: the queue's
-- own bytes, which are UTF-8; null once it is back in the queue. drift_id: the row of SCHEMA_DRIFT it waits for; reason
-- names everything that is wrong with it. released_at: somebody let it go; requeued_at: it is in the queue again.
CREATE TABLE IF NOT EXISTS QUARANTINE (
    id VARCHAR(36) NOT NULL,
    activity_id VARCHAR NOT NULL,
    ts TIMESTAMP_NTZ,
    activity VARCHAR NOT NULL,
    customer VARCHAR,
    reason VARCHAR NOT NULL,
    drift_id VARCHAR(36) NOT NULL,
    line VARCHAR,
    quarantined_at TIMESTAMP_NTZ NOT NULL,
    released_at TIMESTAMP_NTZ,
    requeued_at TIMESTAMP_NTZ
);

-- What this warehouse takes beside the catalog. key: a feature; `*` every further one; empty for a name of one's own.
-- kind: the feature's kind of value, any, optional (a required feature may be missing), or activity (a name).
-- schema_version: the activity's from then on; each addition is a minor one.
CREATE TABLE IF NOT EXISTS CATALOG_ADDITION (
    activity VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    schema_version VARCHAR NOT NULL,
    since TIMESTAMP_NTZ NOT NULL,
    drift_id VARCHAR(36)
);

-- Up to where the lines of a segment are counted in SCHEMA_DRIFT, so that a line that comes again is not counted twice.
CREATE TABLE IF NOT EXISTS _DRIFT_COUNTED (
    segment VARCHAR NOT NULL,
    counted_to BIGINT NOT NULL
);
