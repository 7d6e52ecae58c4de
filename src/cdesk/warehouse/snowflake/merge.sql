-- Takes: the batch's name. Merges its lines in CLAUDE_LANDING into the stream; of several lines of one row the one that
-- says most stands. A row that another writer changed meanwhile is left alone: whoever asked counts rows, and sees it.
-- activity_occurrence and activity_repeated_at are kept: they are a task's.
MERGE INTO CLAUDE_STREAM_V2 AS t
USING (
    SELECT
        line:activity_id::VARCHAR AS activity_id,
        line:ts::TIMESTAMP_NTZ AS ts,
        line:customer::VARCHAR AS customer,
        line:_told_customer::VARCHAR AS _told_customer,
        line:anonymous_customer_id::VARCHAR AS anonymous_customer_id,
        line:activity::VARCHAR AS activity,
        line:feature_json AS feature_json,
        line:revenue_impact::DOUBLE AS revenue_impact,
        line:link::VARCHAR AS link,
        line:_org_id::VARCHAR AS _org_id,
        line:_session_id::VARCHAR AS _session_id,
        line:_source::VARCHAR AS _source,
        line:_schema_version::INTEGER AS _schema_version,
        line:_ingested_at::TIMESTAMP_NTZ AS _ingested_at,
        line:_query_tag::VARCHAR AS _query_tag,
        line:_identity::VARCHAR AS _identity,
        line:_also_id::VARCHAR AS _also_id,
        line:_also_id_2::VARCHAR AS _also_id_2,
        line:_observations::VARCHAR AS _observations,
        line:_project_path::VARCHAR AS _project_path,
        line:_model::VARCHAR AS _model,
        line:_speed::VARCHAR AS _speed,
        line:_is_counted::BOOLEAN AS _is_counted,
        line:_prompt_tokens::BIGINT AS _prompt_tokens,
        line:_completion_tokens::BIGINT AS _completion_tokens,
        line:_cache_creation_5m_tokens::BIGINT AS _cache_creation_5m_tokens,
        line:_cache_creation_1h_tokens::BIGINT AS _cache_creation_1h_tokens,
        line:_cache_read_tokens::BIGINT AS _cache_read_tokens,
        line:_seq::BIGINT AS _seq,
        line:_first_seq::BIGINT AS _first_seq,
        line:was_seq::BIGINT AS was_seq
    FROM CLAUDE_LANDING
    WHERE line:batch::VARCHAR = :1
    QUALIFY ROW_NUMBER() OVER (PARTITION BY line:activity_id::VARCHAR ORDER BY LENGTH(TO_JSON(line)) DESC) = 1
) AS s
    ON t.activity_id = s.activity_id
WHEN MATCHED AND t._seq = s.was_seq THEN UPDATE SET
    ts = s.ts,
    customer = s.customer,
    _told_customer = s._told_customer,
    anonymous_customer_id = s.anonymous_customer_id,
    activity = s.activity,
    feature_json = s.feature_json,
    revenue_impact = s.revenue_impact,
    link = s.link,
    _org_id = s._org_id,
    _session_id = s._session_id,
    _source = s._source,
    _schema_version = s._schema_version,
    _ingested_at = s._ingested_at,
    _query_tag = s._query_tag,
    _identity = s._identity,
    _also_id = s._also_id,
    _also_id_2 = s._also_id_2,
    _observations = s._observations,
    _project_path = s._project_path,
    _model = s._model,
    _speed = s._speed,
    _is_counted = s._is_counted,
    _prompt_tokens = s._prompt_tokens,
    _completion_tokens = s._completion_tokens,
    _cache_creation_5m_tokens = s._cache_creation_5m_tokens,
    _cache_creation_1h_tokens = s._cache_creation_1h_tokens,
    _cache_read_tokens = s._cache_read_tokens,
    _seq = s._seq
WHEN NOT MATCHED AND s.was_seq IS NULL THEN INSERT (
    activity_id, ts, customer, _told_customer, anonymous_customer_id, activity, feature_json, revenue_impact, link, _org_id, _session_id, _source, _schema_version, _ingested_at, _query_tag, _identity, _also_id, _also_id_2, _observations, _project_path, _model, _speed, _is_counted, _prompt_tokens, _completion_tokens, _cache_creation_5m_tokens, _cache_creation_1h_tokens, _cache_read_tokens, _seq, _first_seq
) VALUES (
    s.activity_id, s.ts, s.customer, s._told_customer, s.anonymous_customer_id, s.activity, s.feature_json, s.revenue_impact, s.link, s._org_id, s._session_id, s._source, s._schema_version, s._ingested_at, s._query_tag, s._identity, s._also_id, s._also_id_2, s._observations, s._project_path, s._model, s._speed, s._is_counted, s._prompt_tokens, s._completion_tokens, s._cache_creation_5m_tokens, s._cache_creation_1h_tokens, s._cache_read_tokens, s._seq, s._first_seq
)
