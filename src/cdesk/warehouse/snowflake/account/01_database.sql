-- Where everything is.
-- Takes: a role that may create databases. Gives: the database and its schema.
-- Days here are Time Travel, for mistakes; how long rows are kept is 40_retention.sql's. In a schema with managed access
-- only its owner grants. A schema that is made becomes the session's: the last statement says which one that is to be.
CREATE DATABASE IF NOT EXISTS CDESK DATA_RETENTION_TIME_IN_DAYS = 7;
CREATE SCHEMA IF NOT EXISTS CDESK.ACTIVITY WITH MANAGED ACCESS;
USE SCHEMA CDESK.ACTIVITY;
