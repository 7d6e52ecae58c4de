-- Who sees which rows, and how a person's name looks to those who may not see it.
-- Takes: CLAUDE_STREAM_V2, INSIGHT_ATOMS, ARTIFACTS; the roles. Gives: ORG_ROLE, ORGS_IN_SESSION, the policy BY_ORG, attached,
-- and the policy MASK_PERSON, which 25_tags.sql puts on columns.
-- A policy is made to show nothing and then given its body, so that there is no moment in which it shows too much.

-- Which role stands for which organisation.
CREATE TABLE IF NOT EXISTS ORG_ROLE (
    role_name VARCHAR NOT NULL,
    org_id VARCHAR NOT NULL
);

-- The organisations that this session may see. Memoizable: Snowflake remembers the answer, where a subquery in the policy would
-- be asked again by every scan.
CREATE OR REPLACE FUNCTION ORGS_IN_SESSION() RETURNS ARRAY MEMOIZABLE AS
$$
SELECT ARRAY_AGG(DISTINCT org_id)
FROM ORG_ROLE
WHERE IS_ROLE_IN_SESSION(role_name)
$$;

CREATE ROW ACCESS POLICY IF NOT EXISTS BY_ORG AS (org VARCHAR) RETURNS BOOLEAN -> FALSE;
ALTER ROW ACCESS POLICY BY_ORG SET BODY ->
IS_ROLE_IN_SESSION('CDESK_OWNER')
OR IS_ROLE_IN_SESSION('CDESK_LOADER')
OR IS_ROLE_IN_SESSION('CDESK_ANALYST')
OR ARRAY_CONTAINS(org::VARIANT, ORGS_IN_SESSION());

CREATE MASKING POLICY IF NOT EXISTS MASK_PERSON AS (val VARCHAR) RETURNS VARCHAR -> '***';
ALTER MASKING POLICY MASK_PERSON SET BODY ->
CASE
    WHEN
        IS_ROLE_IN_SESSION('CDESK_OWNER')
        OR IS_ROLE_IN_SESSION('CDESK_LOADER')
        OR IS_ROLE_IN_SESSION('CDESK_ANALYST')
        THEN val
    ELSE '***'
END;

ALTER TABLE CLAUDE_STREAM_V2 ADD ROW ACCESS POLICY BY_ORG ON (_org_id);
ALTER TABLE INSIGHT_ATOMS ADD ROW ACCESS POLICY BY_ORG ON (org_id);
ALTER TABLE ARTIFACTS ADD ROW ACCESS POLICY BY_ORG ON (org_id);
