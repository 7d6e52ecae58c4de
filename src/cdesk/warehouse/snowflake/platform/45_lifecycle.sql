-- How long rows are kept, as 40_retention.sql says it, but by Snowflake itself: activities 180 days, the query log 90; nothing
-- that a legal hold is on. One of the two files is deployed: see `retention` in docs/snowflake.md.
-- Takes: CLAUDE_STREAM_V2, QUERY_HISTORY, LEGAL_HOLD. Gives: the policies EXPIRE_ACTIVITY and EXPIRE_QUERY, attached.
-- Days, not moments: then it does not matter at what hour Snowflake comes by. Who looks through a mask cannot tell whether a hold
-- is on, and so expires nothing.
CREATE STORAGE LIFECYCLE POLICY IF NOT EXISTS EXPIRE_ACTIVITY
AS (at TIMESTAMP_NTZ, person VARCHAR, told VARCHAR) RETURNS BOOLEAN -> FALSE;
ALTER STORAGE LIFECYCLE POLICY EXPIRE_ACTIVITY SET BODY ->
TO_DATE(at) < DATEADD(DAY, -180, TO_DATE(SYSDATE()))
AND COALESCE(person, '') <> '***'
AND COALESCE(told, '') <> '***'
AND NOT EXISTS (
    SELECT 1 FROM LEGAL_HOLD AS h
    WHERE h.released_at IS NULL AND h.artifact_id IS NULL AND (h.customer = person OR h.customer = told)
);
CREATE STORAGE LIFECYCLE POLICY IF NOT EXISTS EXPIRE_QUERY AS (at TIMESTAMP_NTZ) RETURNS BOOLEAN -> FALSE;
ALTER STORAGE LIFECYCLE POLICY EXPIRE_QUERY SET BODY -> TO_DATE(at) < DATEADD(DAY, -90, TO_DATE(SYSDATE()));
ALTER TABLE CLAUDE_STREAM_V2 ADD STORAGE LIFECYCLE POLICY EXPIRE_ACTIVITY ON (ts, customer, _told_customer);
ALTER TABLE QUERY_HISTORY ADD STORAGE LIFECYCLE POLICY EXPIRE_QUERY ON (start_time);
