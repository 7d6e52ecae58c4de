-- Where Snowflake writes what it has to say of our tasks and alerts: an event table, outside the schema that a deployment
-- may swap.
-- Takes: the database. Gives: CDESK.EVENTS.CDESK_EVENTS; failures of everything in the database are written there.
CREATE SCHEMA IF NOT EXISTS CDESK.EVENTS WITH MANAGED ACCESS;
CREATE EVENT TABLE IF NOT EXISTS CDESK.EVENTS.CDESK_EVENTS;
ALTER DATABASE CDESK SET EVENT_TABLE = CDESK.EVENTS.CDESK_EVENTS;
ALTER DATABASE CDESK SET LOG_LEVEL = ERROR;
USE SCHEMA CDESK.ACTIVITY;
