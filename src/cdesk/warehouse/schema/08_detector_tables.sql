-- Each detector says what its rule is, beside what it found.
-- Takes: nothing. Gives: DETECTOR, where it is missing.
-- Never edited once released.

-- Scratch of detect_patterns: the rules that were looked for. parameters: thresholds, a JSON object. features: a JSON array of
-- what findings rest on, as activity.feature.
CREATE TABLE IF NOT EXISTS DETECTOR (
    rule VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    parameters VARCHAR NOT NULL,
    features VARCHAR NOT NULL
);
