-- Where Snowpipe Streaming lands rows, and how Snowflake merges them.
-- Takes: CLAUDE_STREAM_V2, COMMIT_NUMBER; CDESK_TASKS. Gives: CLAUDE_STREAMED (landed rows, for a day; its default pipe is
-- Snowflake's own), CLAUDE_ARRIVED (for one transaction), CLAUDE_UNSETTLED (facts known already, for cdesk to join), the
-- stream CLAUDE_STREAMED_NEW, the tasks CDESK_STREAMED and CDESK_STREAMED_TIDY, started.
-- A fact has up to three names. It is new when nobody has any of them; told again when its row says the same already.
-- Merged in one transaction with the stream's offset: however often the task is cut short, each row is taken once.
CREATE TABLE IF NOT EXISTS CLAUDE_STREAMED (
    id VARCHAR,
    channel VARCHAR,
    sent_at TIMESTAMP_NTZ,
    line VARIANT
);
CREATE TRANSIENT TABLE IF NOT EXISTS CLAUDE_ARRIVED (
    id VARCHAR,
    channel VARCHAR,
    line VARIANT,
    seq INTEGER
);
CREATE TRANSIENT TABLE IF NOT EXISTS CLAUDE_UNSETTLED (
    id VARCHAR,
    channel VARCHAR,
    line VARIANT,
    arrived_at TIMESTAMP_NTZ
);
CREATE STREAM IF NOT EXISTS CLAUDE_STREAMED_NEW ON TABLE CLAUDE_STREAMED APPEND_ONLY = TRUE SHOW_INITIAL_ROWS = TRUE;
CREATE OR REPLACE TASK CDESK_STREAMED
WAREHOUSE = CDESK_TASKS
WHEN SYSTEM$STREAM_HAS_DATA('CLAUDE_STREAMED_NEW')
AS EXECUTE IMMEDIATE
$$
BEGIN
    BEGIN TRANSACTION;
    INSERT INTO CLAUDE_ARRIVED (id, channel, line, seq)
    SELECT id, channel, line, COMMIT_NUMBER.NEXTVAL
    FROM CLAUDE_STREAMED_NEW;
    DELETE FROM CLAUDE_ARRIVED
    WHERE id NOT IN (
        SELECT id
        FROM CLAUDE_ARRIVED
        QUALIFY ROW_NUMBER() OVER (PARTITION BY TO_JSON(line) ORDER BY id) = 1
    );
    DELETE FROM CLAUDE_ARRIVED
    WHERE id IN (
        SELECT a.id
        FROM CLAUDE_ARRIVED AS a
        INNER JOIN CLAUDE_STREAM_V2 AS t ON a.line:activity_id::VARCHAR = t.activity_id
        WHERE
            a.line:ts::TIMESTAMP_NTZ = t.ts
            AND a.line:customer::VARCHAR = COALESCE(t._told_customer, t.customer)
            AND TO_JSON(a.line:feature_json) = TO_JSON(t.feature_json)
            AND a.line:revenue_impact::DOUBLE IS NOT DISTINCT FROM t.revenue_impact
            AND a.line:anonymous_customer_id::VARCHAR IS NOT DISTINCT FROM t.anonymous_customer_id
            AND a.line:activity::VARCHAR IS NOT DISTINCT FROM t.activity
            AND a.line:link::VARCHAR IS NOT DISTINCT FROM t.link
            AND a.line:_org_id::VARCHAR IS NOT DISTINCT FROM t._org_id
            AND a.line:_session_id::VARCHAR IS NOT DISTINCT FROM t._session_id
            AND a.line:_source::VARCHAR IS NOT DISTINCT FROM t._source
            AND a.line:_query_tag::VARCHAR IS NOT DISTINCT FROM t._query_tag
            AND a.line:_identity::VARCHAR IS NOT DISTINCT FROM t._identity
            AND a.line:_also_id::VARCHAR IS NOT DISTINCT FROM t._also_id
            AND a.line:_also_id_2::VARCHAR IS NOT DISTINCT FROM t._also_id_2
            AND a.line:_observations::VARCHAR IS NOT DISTINCT FROM t._observations
    );
    INSERT INTO CLAUDE_UNSETTLED (id, channel, line, arrived_at)
    WITH names AS (
        SELECT id, line:activity_id::VARCHAR AS name FROM CLAUDE_ARRIVED
        UNION
        SELECT id, line:_also_id::VARCHAR AS name FROM CLAUDE_ARRIVED WHERE line:_also_id IS NOT NULL
        UNION
        SELECT id, line:_also_id_2::VARCHAR AS name FROM CLAUDE_ARRIVED WHERE line:_also_id_2 IS NOT NULL
    ),

    met AS (
        SELECT n.id FROM names AS n INNER JOIN names AS o ON n.name = o.name WHERE n.id <> o.id
        UNION
        SELECT n.id FROM names AS n INNER JOIN CLAUDE_STREAM_V2 AS t ON n.name = t.activity_id
        UNION
        SELECT n.id FROM names AS n INNER JOIN CLAUDE_STREAM_V2 AS t ON n.name = t._also_id
        UNION
        SELECT n.id FROM names AS n INNER JOIN CLAUDE_STREAM_V2 AS t ON n.name = t._also_id_2
    )

    SELECT a.id, a.channel, a.line, SYSDATE()
    FROM CLAUDE_ARRIVED AS a
    INNER JOIN met ON a.id = met.id;
    DELETE FROM CLAUDE_ARRIVED WHERE id IN (SELECT id FROM CLAUDE_UNSETTLED);
    MERGE INTO CLAUDE_STREAM_V2 AS t
    USING (
        SELECT
            line:activity_id::VARCHAR AS activity_id,
            line:ts::TIMESTAMP_NTZ AS ts,
            line:customer::VARCHAR AS customer,
            line:anonymous_customer_id::VARCHAR AS anonymous_customer_id,
            line:activity::VARCHAR AS activity,
            line:feature_json AS feature_json,
            line:revenue_impact::DOUBLE AS revenue_impact,
            line:link::VARCHAR AS link,
            line:_org_id::VARCHAR AS _org_id,
            line:_session_id::VARCHAR AS _session_id,
            line:_source::VARCHAR AS _source,
            line:_schema_version::INTEGER AS _schema_version,
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
            seq
        FROM CLAUDE_ARRIVED
        QUALIFY ROW_NUMBER() OVER (PARTITION BY line:activity_id::VARCHAR ORDER BY id) = 1
    ) AS s
        ON t.activity_id = s.activity_id
    WHEN NOT MATCHED THEN INSERT (
        activity_id, ts, customer, anonymous_customer_id, activity, feature_json, revenue_impact, link, _org_id, _session_id, _source, _schema_version, _query_tag, _identity, _also_id, _also_id_2, _observations, _project_path, _model, _speed, _is_counted, _prompt_tokens, _completion_tokens, _cache_creation_5m_tokens, _cache_creation_1h_tokens, _cache_read_tokens, _ingested_at, _seq, _first_seq
    ) VALUES (
        s.activity_id, s.ts, s.customer, s.anonymous_customer_id, s.activity, s.feature_json, s.revenue_impact, s.link, s._org_id, s._session_id, s._source, s._schema_version, s._query_tag, s._identity, s._also_id, s._also_id_2, s._observations, s._project_path, s._model, s._speed, s._is_counted, s._prompt_tokens, s._completion_tokens, s._cache_creation_5m_tokens, s._cache_creation_1h_tokens, s._cache_read_tokens, SYSDATE(), s.seq, s.seq
    );
    DELETE FROM CLAUDE_ARRIVED;
    COMMIT;
EXCEPTION
    WHEN OTHER THEN
        ROLLBACK;
        RAISE;
END;
$$;
CREATE OR REPLACE TASK CDESK_STREAMED_TIDY
WAREHOUSE = CDESK_TASKS
SCHEDULE = 'USING CRON 15 3 * * * UTC'
AS
DELETE FROM CLAUDE_STREAMED WHERE sent_at < DATEADD(DAY, -1, SYSDATE());
ALTER TASK CDESK_STREAMED RESUME;
ALTER TASK CDESK_STREAMED_TIDY RESUME;
