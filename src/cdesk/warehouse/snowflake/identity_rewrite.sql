-- Takes: the number of the commit, then as identity_wrong.sql, whose text stands for WRONG. Every row is shown as the operations
-- say; the customer that it was told with is kept.
MERGE INTO CLAUDE_STREAM_V2 AS t
USING (
    SELECT
        w.activity_id,
        w.shown,
        IFF(w.told IS DISTINCT FROM w.shown, w.told, NULL) AS told_customer,
        CAST(:1 AS BIGINT) AS seq
    FROM (WRONG) AS w
) AS s
    ON t.activity_id = s.activity_id
WHEN MATCHED THEN UPDATE SET
    customer = s.shown,
    _told_customer = s.told_customer,
    _seq = s.seq,
    _ingested_at = SYSDATE()
