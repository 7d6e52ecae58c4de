"""SQL run for an answer, by cdesk or reported by others."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family

SQL = Family(
    "sql",
    "VW_SQL_EVENTS",
    (
        Declaration(
            "sql_executed",
            "a statement ran on a warehouse",
            (
                F("query_id", "string", "our id, also in the query tag", required=True),
                F("sql", "string", "statement text", required=True, privacy="content"),
                F("warehouse", "string", "compute that ran it"),
                F("role", "string", "role it ran as"),
                F("database", "string", "database in use"),
                F("schema", "string", "schema in use"),
                F("rows", "integer", "rows given back", unit="rows"),
                F("bytes_scanned", "integer", "bytes read", unit="bytes"),
                F("duration_ms", "number", "wall time", unit="ms"),
                F("credits_used", "number", "compute credits", unit="credits"),
                F("success", "boolean", "it ended without an error", required=True),
                F("error", "string", "message of the failure", privacy="content"),
                F("error_code", "string", "code of the failure"),
                *COMMON,
            ),
            aliases=("query_complete", "query_submitted", "sql_execution", "claude_sql_execution"),
        ),
    ),
)
