-- Who there is. What each may do is in platform/90_grants.sql.
-- Takes: a role that may create roles. Gives: CDESK_OWNER, CDESK_LOADER, CDESK_ANALYST, CDESK_READER.
-- owner: deploys, and its tasks run as it · loader: the machines that bring activities · analyst: reads everything
-- reader: reads activities of its own organisations, by the mapping table ORG_ROLE
CREATE ROLE IF NOT EXISTS CDESK_OWNER;
CREATE ROLE IF NOT EXISTS CDESK_LOADER;
CREATE ROLE IF NOT EXISTS CDESK_ANALYST;
CREATE ROLE IF NOT EXISTS CDESK_READER;
GRANT ROLE CDESK_OWNER TO ROLE SYSADMIN;
GRANT ROLE CDESK_LOADER TO ROLE CDESK_OWNER;
GRANT ROLE CDESK_ANALYST TO ROLE CDESK_OWNER;
GRANT ROLE CDESK_READER TO ROLE CDESK_ANALYST;
