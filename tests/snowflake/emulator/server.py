"""A local Snowflake for tests: fakesnow's server, and what it lacks or takes without effect.

Run by a Python of its own (`make test` makes it), because fakesnow pins what cdesk does not:

    python server.py PORT

A statement is executed for real, or recorded, or refused. Nothing passes without
effect and without a record: what fakesnow would drop silently is refused here, so that a test over it fails loudly.

    executed    streams, tasks (POST /_emu/tick is the scheduler), row access, masking and lifecycle policies (POST
                /_emu/expire), tags with a policy, memoizable functions without arguments in policies, alerts (EXECUTE
                ALERT), roles in policies, query tags and history, time limits, REMOVE, SWAP of tables and
                schemas
    recorded    after sqlfluff has read them: warehouses, monitors, roles, grants, event tables, comments (GET /_emu/recorded)
    refused     what is in REFUSED, with the reason

Not modelled: policies of a table that is read through a view, privileges, cost, concurrency of writers, Time Travel, procedures.
"""

from __future__ import annotations

import contextvars
import gzip
import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fakesnow.arrow as fake_arrow
import fakesnow.cursor as fake_cursor
import fakesnow.server as fake_server
import jwt
import pyarrow
import snowflake.connector.errors as errors
import sqlglot
import uvicorn
from fakesnow.transforms import stage
from sqlglot import exp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Name = tuple[str, str, str]


@dataclass
class Stream:
    table: Name
    append_only: bool
    snapshot: str
    pending: str | None = None


@dataclass
class Task:
    body: str
    when: str | None
    text: str
    state: str = "suspended"


@dataclass
class Policy:
    arguments: list[str]
    body: str


@dataclass
class Account:
    """What is known beside tables and views."""

    streams: dict[Name, Stream] = field(default_factory=dict)
    tasks: dict[Name, Task] = field(default_factory=dict)
    row_policies: dict[Name, Policy] = field(default_factory=dict)
    masks: dict[Name, Policy] = field(default_factory=dict)
    rows_of: dict[Name, tuple[Name, list[str]]] = field(default_factory=dict)
    masked: dict[Name, dict[str, Name]] = field(default_factory=dict)
    tags: dict[Name, Name | None] = field(default_factory=dict)
    tagged: dict[Name, dict[str, Name]] = field(default_factory=dict)
    functions: dict[Name, str] = field(default_factory=dict)
    lifecycles: dict[Name, Policy] = field(default_factory=dict)
    expiring: dict[Name, tuple[Name, list[str]]] = field(default_factory=dict)
    alerts: dict[Name, tuple[str, str]] = field(default_factory=dict)
    schemas: dict[tuple[str, str], str] = field(default_factory=dict)
    recorded: list[str] = field(default_factory=list)
    history: list[list[Any]] = field(default_factory=list)
    runs: list[tuple[str, str, str | None]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    public_key: str = ""
    ahead_seconds: float = 0.0


ACCOUNT = Account()
NAME = r'((?:"[^"]+"|[\w$.]+))'

REFUSED: tuple[tuple[str, str], ...] = (
    (r"\bcreate\s+(or\s+replace\s+)?database\b.*\bclone\b", "a cloned database would be empty here"),
    (r"\bcreate\s+.*\b(dynamic\s+table|materialized\s+view|iceberg\s+table)\b", "it would never be refreshed here"),
    (
        r"\bcreate\s+(or\s+replace\s+)?(table|view)\b.*\bwith\s+row\s+access\s+policy\b",
        "attach policies by ALTER TABLE",
    ),
    (r"\bflatten\s*\(.*\b(outer|recursive)\s*=>\s*true", "OUTER and RECURSIVE are ignored here"),
    (
        r"\bcreate\s+(or\s+replace\s+)?function\b(?!\s+\w+\(\)\s+returns\s+array\s+memoizable\b)",
        "a function would return its own text here",
    ),
    (r"\bon\s+conflict\b", "Snowflake has no ON CONFLICT"),
    (r"\bfilter\s*\(\s*where\b", "Snowflake has no FILTER"),
    (
        r"^\s*insert\s+into\s+[\w.]+\s*(\([^)]*\))?\s*values\b.*\bparse_json\s*\(",
        "Snowflake takes no PARSE_JSON in VALUES",
    ),
    (r"\bnop_regexes\b", "nothing is made to succeed here"),
)
RECORDED = (
    r"^\s*(create|alter|drop|grant|revoke|comment)\b.*?\b(warehouse|resource\s+monitor|role|tag|alert|network\s+policy|"
    r"authentication\s+policy|storage\s+lifecycle\s+policy|search\s+optimization|privileges|usage|select|insert|operate|"
    r"monitor|comment|change_tracking|data_retention_time_in_days|cluster)\b"
)
Route_ = Callable[[Any, "re.Match[str]", str], Any]
ROUTES: list[tuple[re.Pattern[str], Route_]] = []


def on(pattern: str) -> Callable[[Route_], Route_]:
    def take(handler: Route_) -> Route_:
        ROUTES.append((re.compile(pattern, re.IGNORECASE | re.DOTALL), handler))
        return handler

    return take


def refuse(message: str, number: int = 1003, state: str = "42000") -> errors.ProgrammingError:
    return errors.ProgrammingError(msg=message, errno=number, sqlstate=state)


_linter: Any = None


def check_grammar(sql: str) -> None:
    """Raises what Snowflake's compiler would, as far as sqlfluff's grammar knows."""
    global _linter
    if _linter is None:
        from sqlfluff.core import FluffConfig, Linter

        _linter = Linter(config=FluffConfig(overrides={"dialect": "snowflake", "rules": "LT01"}))
    parsed = _linter.parse_string(sql.rstrip().rstrip(";") + "\n;\n")
    wrong = [one for one in parsed.violations if one.rule_code() == "PRS"]
    if wrong:
        raise refuse(f"SQL compilation error: {wrong[0].desc()}")


def full(connection: Any, name: str) -> Name:
    parts = [part.strip('"') if part.startswith('"') else part.upper() for part in name.split(".")]
    whole = [connection.database, connection._schema][: 3 - len(parts)] + parts
    return (whole[0], whole[1], whole[2])


def dotted(name: Name) -> str:
    return ".".join(f'"{part}"' for part in name)


def done(cursor: Any, message: str = "Statement executed successfully.") -> Any:
    cursor._execute(sqlglot.parse_one("select '{}' as status".format(message.replace("'", "''"))))
    return cursor


# -- sessions ------------------------------------------------------------------------------------------------------


@on(r"^\s*alter\s+session\s+(set|unset)\s+(.*?)\s*;?\s*$")
def alter_session(cursor: Any, found: re.Match[str], sql: str) -> Any:
    parameters = cursor._conn.__dict__.setdefault("_parameters", {})
    if found[1].lower() == "unset":
        for key in re.split(r"[\s,]+", found[2]):
            parameters.pop(key.upper(), None)
        return done(cursor)
    for key, value in re.findall(r"(\w+)\s*=\s*('(?:[^']|'')*'|[^\s,]+)", found[2]):
        if key.upper() == "AUTOCOMMIT":
            return None
        parameters[key.upper()] = value.strip("'").replace("''", "'")
    return done(cursor)


@on(r"^\s*use\s+role\s+" + NAME)
def use_role(cursor: Any, found: re.Match[str], sql: str) -> Any:
    cursor._conn._role = found[1].upper()
    return done(cursor)


@on(r"^\s*use\s+(warehouse|secondary\s+roles)\b")
def use_other(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.recorded.append(sql)
    return done(cursor)


# -- stages --------------------------------------------------------------------------------------------------------


@on(r"^\s*(?:remove|rm)\s+'?@([\w$.]+)/?([^'\s]*)'?\s*;?\s*$")
def remove(cursor: Any, found: re.Match[str], sql: str) -> Any:
    folder = Path(stage.internal_dir(".".join(full(cursor._conn, found[1]))))
    gone = [path for path in folder.rglob("*") if path.is_file() and str(path.relative_to(folder)).startswith(found[2])]
    for path in gone:
        path.unlink()
    return done(cursor, f"{len(gone)} removed")


@on(r"^\s*create\s+(?:or\s+replace\s+)?sequence\b.*\b(no)?order\s*;?\s*$")
def sequence(cursor: Any, found: re.Match[str], sql: str) -> Any:
    """fakesnow does not know the word; its sequences are ordered."""
    check_grammar(sql)
    return _original(cursor, re.sub(r"\s+(no)?order\s*;?\s*$", "", sql, flags=re.IGNORECASE))


# -- streams and tasks ---------------------------------------------------------------------------------------------


@on(r"^\s*create\s+(or\s+replace\s+)?stream\s+(if\s+not\s+exists\s+)?" + NAME + r"\s+on\s+table\s+" + NAME + r"(.*)$")
def create_stream(cursor: Any, found: re.Match[str], sql: str) -> Any:
    name, table = full(cursor._conn, found[3]), full(cursor._conn, found[4])
    if name in ACCOUNT.streams and not found[1]:
        if not found[2]:
            raise refuse(f"SQL compilation error: Object '{found[3]}' already exists.", 2002, "42710")
        return done(cursor, f"{name[2]} already exists, statement succeeded.")
    options = found[5] or ""
    begin = "false" if re.search(r"show_initial_rows\s*=\s*true", options, re.IGNORECASE) else "true"
    append = bool(re.search(r"append_only\s*=\s*true", options, re.IGNORECASE))
    snapshot = dotted((*table[:2], f"_FS_STREAM_{uuid.uuid4().hex[:8]}"))
    cursor._duck_conn.execute(f"create table {snapshot} as select rowid as _rid, * from {dotted(table)} where {begin}")
    ACCOUNT.streams[name] = Stream(table, append, snapshot)
    return done(cursor, f"Stream {name[2]} successfully created.")


@on(r"^\s*drop\s+stream\s+(?:if\s+exists\s+)?" + NAME)
def drop_stream(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.streams.pop(full(cursor._conn, found[1]), None)
    return done(cursor)


def changes(cursor: Any, stream: Stream) -> str:
    """What the stream shows: net changes since its snapshot."""
    table, snapshot = dotted(stream.table), stream.snapshot
    names = [row[0] for row in cursor._duck_conn.execute(f"select * from {table} limit 0").description]
    same = " and ".join(f'n."{name}" is not distinct from o."{name}"' for name in names)
    columns = ", ".join(f'n."{name}"' for name in names)
    new = f"""select {columns}, 'INSERT' as "METADATA$ACTION", o._rid is not null as "METADATA$ISUPDATE",
        n._rid::varchar as "METADATA$ROW_ID"
        from (select rowid as _rid, * from {table}) n left join {snapshot} o on n._rid = o._rid"""
    if stream.append_only:
        return f"{new} where o._rid is null"
    return f"""{new} where o._rid is null or not ({same}) union all
        select {columns.replace("n.", "o.")}, 'DELETE', n._rid is not null, o._rid::varchar
        from {snapshot} o left join (select rowid as _rid, * from {table}) n on n._rid = o._rid
        where n._rid is null or not ({same})"""


def consume(cursor: Any, stream: Stream) -> None:
    """It has passed what was there when the statement, or its transaction, first looked."""
    if stream.pending:
        cursor._duck_conn.execute(f"drop table {stream.snapshot}")
        stream.snapshot, stream.pending = stream.pending, None


def look(cursor: Any, stream: Stream) -> None:
    if stream.pending is None:
        pending = dotted((*stream.table[:2], f"_FS_STREAM_{uuid.uuid4().hex[:8]}"))
        cursor._duck_conn.execute(f"create table {pending} as select rowid as _rid, * from {dotted(stream.table)}")
        stream.pending = pending


@on(r"^\s*create\s+(?:or\s+replace\s+)?task\s+(?:if\s+not\s+exists\s+)?" + NAME + r"\s+(.*?)\bas\s+(.*)$")
def create_task(cursor: Any, found: re.Match[str], sql: str) -> Any:
    when = re.search(r"\bwhen\s+(.*)$", found[2], re.IGNORECASE | re.DOTALL)
    body = found[3].strip().rstrip(";")
    ACCOUNT.tasks[full(cursor._conn, found[1])] = Task(body, when[1].strip() if when else None, sql)
    return done(cursor, f"Task {found[1].upper()} successfully created.")


@on(r"^\s*alter\s+task\s+(?:if\s+exists\s+)?" + NAME + r"\s+(resume|suspend)\s*;?\s*$")
def alter_task(cursor: Any, found: re.Match[str], sql: str) -> Any:
    _task(cursor, found[1]).state = "started" if found[2].lower() == "resume" else "suspended"
    return done(cursor)


@on(r"^\s*drop\s+task\s+(?:if\s+exists\s+)?" + NAME)
def drop_task(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.tasks.pop(full(cursor._conn, found[1]), None)
    return done(cursor)


@on(r"^\s*execute\s+task\s+" + NAME)
def execute_task(cursor: Any, found: re.Match[str], sql: str) -> Any:
    _task(cursor, found[1])
    run(cursor._conn.cursor(), full(cursor._conn, found[1]))
    return done(cursor, f"Task {found[1].upper()} is scheduled to run immediately.")


def _task(cursor: Any, name: str) -> Task:
    known = ACCOUNT.tasks.get(full(cursor._conn, name))
    if known is None:
        raise refuse(f"Task '{name}' does not exist or not authorized.", 2003, "02000")
    return known


def run(cursor: Any, name: Name) -> None:
    task = ACCOUNT.tasks[name]
    try:
        if task.when and not cursor.execute("select " + task.when).fetchone()[0]:
            ACCOUNT.runs.append((name[2], "SKIPPED", None))
            return
        block = re.match(r"^execute\s+immediate\s+\$\$(.*)\$\$$", task.body, re.IGNORECASE | re.DOTALL)
        if block is None:
            cursor.execute(task.body)
        else:
            run_block(cursor, block[1])
        ACCOUNT.runs.append((name[2], "SUCCEEDED", None))
    except Exception as error:
        ACCOUNT.runs.append((name[2], "FAILED", str(error)))


def run_block(cursor: Any, block: str) -> None:
    """BEGIN statements EXCEPTION WHEN OTHER THEN ROLLBACK; RAISE; END: nothing else of Snowflake Scripting."""
    found = re.match(
        r"^\s*begin\s+(.*?)\s*exception\s+when\s+other\s+then\s+rollback;\s*raise;\s*end;?\s*$", block,
        re.IGNORECASE | re.DOTALL,
    )  # fmt: skip
    if found is None:
        raise refuse("this emulator runs no other scripting")
    try:
        for statement in statements(found[1]):
            cursor.execute(statement)
    except Exception:
        cursor.execute("rollback")
        raise


def statements(text: str) -> list[str]:
    pieces, begin = [], 0
    for token in sqlglot.tokenize(text, read="snowflake"):
        if token.token_type is sqlglot.TokenType.SEMICOLON:
            pieces.append(text[begin : token.start])
            begin = token.end + 1
    return [piece.strip() for piece in (*pieces, text[begin:]) if piece.strip()]


# -- policies ------------------------------------------------------------------------------------------------------


@on(
    r"^\s*create\s+(?:or\s+replace\s+)?(row\s+access|masking)\s+policy\s+(?:if\s+not\s+exists\s+)?" + NAME
    + r"\s+as\s*\((.*?)\)\s*returns\s+\w+\s*->\s*(.*?)\s*;?\s*$"
)  # fmt: skip
def create_policy(cursor: Any, found: re.Match[str], sql: str) -> Any:
    policy = Policy([argument.split()[0].upper() for argument in found[3].split(",")], found[4])
    kept = ACCOUNT.row_policies if found[1].lower().startswith("row") else ACCOUNT.masks
    kept.setdefault(full(cursor._conn, found[2]), policy)
    return done(cursor, f"Policy {found[2].upper()} successfully created.")


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+add\s+row\s+access\s+policy\s+" + NAME + r"\s+on\s*\((.*?)\)")
def add_row_policy(cursor: Any, found: re.Match[str], sql: str) -> Any:
    table, policy = full(cursor._conn, found[1]), full(cursor._conn, found[2])
    if policy not in ACCOUNT.row_policies:
        raise refuse(f"Row access policy '{found[2]}' does not exist or not authorized.", 2003, "02000")
    if table in ACCOUNT.rows_of:
        raise refuse(f"Table '{found[1]}' has a row access policy already.", 3531, "55000")
    ACCOUNT.rows_of[table] = (policy, [column.strip().upper() for column in found[3].split(",")])
    return done(cursor)


@on(
    r"^\s*alter\s+table\s+" + NAME + r"\s+drop\s+(?:all\s+row\s+access\s+policies|row\s+access\s+policy\s+" + NAME + ")"
)
def drop_row_policy(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.rows_of.pop(full(cursor._conn, found[1]), None)
    return done(cursor)


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+(?:modify|alter)\s+column\s+(\w+)\s+set\s+masking\s+policy\s+" + NAME)
def set_mask(cursor: Any, found: re.Match[str], sql: str) -> Any:
    table, policy = full(cursor._conn, found[1]), full(cursor._conn, found[3])
    if policy not in ACCOUNT.masks:
        raise refuse(f"Masking policy '{found[3]}' does not exist or not authorized.", 2003, "02000")
    ACCOUNT.masked.setdefault(table, {})[found[2].upper()] = policy
    return done(cursor)


@on(
    r"^\s*create\s+(?:or\s+replace\s+)?function\s+([\w$.]+)\(\)\s+returns\s+array\s+memoizable\s+as\s+\$\$(.*)\$\$\s*;?\s*$"
)
def create_function(cursor: Any, found: re.Match[str], sql: str) -> Any:
    """SELECT ARRAY_AGG(DISTINCT x) FROM …, for policies that ask whether it contains something (`bound`)."""
    check_grammar(sql)
    body: Any = sqlglot.parse_one(found[2], read="snowflake")
    if not (len(body.selects) == 1 and isinstance(body.selects[0], exp.ArrayAgg)):
        raise refuse("this emulator has functions that gather one column only")
    ACCOUNT.functions[full(cursor._conn, found[1])] = found[2]
    return done(cursor)


@on(r"^\s*drop\s+function\s+(?:if\s+exists\s+)?([\w$.]+)\(\)")
def drop_function(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.functions.pop(full(cursor._conn, found[1]), None)
    return done(cursor)


@on(r"^\s*create\s+(?:or\s+replace\s+)?tag\s+(?:if\s+not\s+exists\s+)?" + NAME)
def create_tag(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    ACCOUNT.tags.setdefault(full(cursor._conn, found[1]), None)
    return done(cursor)


@on(r"^\s*alter\s+tag\s+" + NAME + r"\s+(set|unset)\s+masking\s+policy\s+" + NAME)
def alter_tag(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    tag, policy = full(cursor._conn, found[1]), full(cursor._conn, found[3])
    if tag not in ACCOUNT.tags or policy not in ACCOUNT.masks:
        raise refuse(f"Tag or policy of '{sql}' does not exist or not authorized.", 2003, "02000")
    if found[2].lower() == "set" and ACCOUNT.tags[tag] is not None:
        raise refuse(f"Tag '{found[1]}' has a masking policy for that type already.", 3551, "55000")
    ACCOUNT.tags[tag] = policy if found[2].lower() == "set" else None
    return done(cursor)


@on(r"^\s*drop\s+tag\s+(?:if\s+exists\s+)?" + NAME)
def drop_tag(cursor: Any, found: re.Match[str], sql: str) -> Any:
    tag = full(cursor._conn, found[1])
    if ACCOUNT.tags.get(tag) is not None:
        raise refuse(f"Tag {found[1]} cannot be dropped because a policy is attached to it.", 3518, "42601")
    ACCOUNT.tags.pop(tag, None)
    for columns in ACCOUNT.tagged.values():
        for column in [one for one, by in columns.items() if by == tag]:
            del columns[column]
    return done(cursor)


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+(?:modify|alter)\s+column\s+(\w+)\s+(set|unset)\s+tag\s+" + NAME)
def tag_column(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    table, tag = full(cursor._conn, found[1]), full(cursor._conn, found[4])
    if tag not in ACCOUNT.tags:
        raise refuse(f"Tag '{found[4]}' does not exist or not authorized.", 2003, "02000")
    columns = ACCOUNT.tagged.setdefault(table, {})
    if found[3].lower() == "set":
        columns[found[2].upper()] = tag
    else:
        columns.pop(found[2].upper(), None)
    return done(cursor)


def masks_of(table: Name) -> dict[str, Name]:
    """A policy of the column's own goes before its tag's."""
    by_tag = {column: ACCOUNT.tags.get(tag) for column, tag in ACCOUNT.tagged.get(table, {}).items()}
    return {column: policy for column, policy in by_tag.items() if policy} | ACCOUNT.masked.get(table, {})


@on(
    r"^\s*create\s+(?:or\s+replace\s+)?storage\s+lifecycle\s+policy\s+(?:if\s+not\s+exists\s+)?" + NAME
    + r"\s+as\s*\((.*?)\)\s*returns\s+boolean\s*->\s*(.*?)\s*;?\s*$"
)  # fmt: skip
def create_lifecycle(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    policy = Policy([argument.split()[0].upper() for argument in found[2].split(",")], found[3])
    ACCOUNT.lifecycles.setdefault(full(cursor._conn, found[1]), policy)
    return done(cursor)


@on(r"^\s*alter\s+storage\s+lifecycle\s+policy\s+" + NAME + r"\s+set\s+body\s*->\s*(.*?)\s*;?\s*$")
def set_lifecycle(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    name = full(cursor._conn, found[1])
    if name not in ACCOUNT.lifecycles:
        raise refuse(f"Policy '{found[1]}' does not exist or not authorized.", 2003, "02000")
    ACCOUNT.lifecycles[name].body = found[2]
    return done(cursor)


@on(r"^\s*drop\s+storage\s+lifecycle\s+policy\s+(?:if\s+exists\s+)?" + NAME)
def drop_lifecycle(cursor: Any, found: re.Match[str], sql: str) -> Any:
    name = full(cursor._conn, found[1])
    if any(policy == name for policy, _ in ACCOUNT.expiring.values()):
        raise refuse(f"Policy {found[1]} cannot be dropped because it is attached.", 3518, "42601")
    ACCOUNT.lifecycles.pop(name, None)
    return done(cursor)


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+add\s+storage\s+lifecycle\s+policy\s+" + NAME + r"\s+on\s*\((.*?)\)")
def add_lifecycle(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    table, policy = full(cursor._conn, found[1]), full(cursor._conn, found[2])
    if policy not in ACCOUNT.lifecycles:
        raise refuse(f"Policy '{found[2]}' does not exist or not authorized.", 2003, "02000")
    if table in ACCOUNT.expiring:
        raise refuse(f"Table '{found[1]}' has a storage lifecycle policy already.", 3531, "55000")
    ACCOUNT.expiring[table] = (policy, [column.strip().upper() for column in found[3].split(",")])
    return done(cursor)


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+drop\s+storage\s+lifecycle\s+policy")
def detach_lifecycle(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    ACCOUNT.expiring.pop(full(cursor._conn, found[1]), None)
    return done(cursor)


def expire(cursor: Any, table: Name) -> None:
    """What Snowflake does once a day."""
    policy, columns = ACCOUNT.expiring[table]
    rule = sqlglot.parse_one(bound(ACCOUNT.lifecycles[policy], columns), read="snowflake")
    for column in rule.find_all(exp.Column):
        if column.table == "_guarded":
            column.set("table", exp.to_identifier(table[2]))
    cursor.execute(f"delete from {dotted(table)} where {rule.sql('snowflake')}")


@on(
    r"^\s*create\s+(?:or\s+replace\s+)?alert\s+(?:if\s+not\s+exists\s+)?" + NAME
    + r"\s.*?\bif\s*\(\s*exists\s*\((.*)\)\s*\)\s*then\s+(.*?)\s*;?\s*$"
)  # fmt: skip
def create_alert(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    ACCOUNT.alerts[full(cursor._conn, found[1])] = (found[2], found[3])
    return done(cursor)


@on(r"^\s*(alter|drop|execute)\s+alert\s+(?:if\s+exists\s+)?" + NAME + r"(?:\s+(?:resume|suspend))?\s*;?\s*$")
def alert(cursor: Any, found: re.Match[str], sql: str) -> Any:
    """EXECUTE ALERT does at once what its schedule would do."""
    name = full(cursor._conn, found[2])
    known = ACCOUNT.alerts.get(name)
    if known is None and not re.search(r"\bif\s+exists\b", sql, re.IGNORECASE):
        raise refuse(f"Alert '{found[2]}' does not exist or not authorized.", 2003, "02000")
    if found[1].lower() == "drop":
        ACCOUNT.alerts.pop(name, None)
    if found[1].lower() == "execute" and known and cursor.execute(known[0]).fetchall():
        cursor.execute(known[1])
    return done(cursor)


@on(r"^\s*(create\s+event\s+table|alter\s+database\s+[\w$]+\s+set)\b")
def only_recorded(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    return done(cursor)


# -- tables --------------------------------------------------------------------------------------------------------


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+swap\s+with\s+" + NAME)
def swap(cursor: Any, found: re.Match[str], sql: str) -> Any:
    one, other = full(cursor._conn, found[1]), full(cursor._conn, found[2])
    aside = f"_SWAP_{uuid.uuid4().hex[:8]}"
    duck = cursor._duck_conn
    duck.execute("begin")
    for before, after in ((one, aside), (other, one[2]), ((*one[:2], aside), other[2])):
        duck.execute(f'alter table {dotted(before)} rename to "{after}"')
    duck.execute("commit")
    return done(cursor)


@on(r"^\s*alter\s+schema\s+([\w$]+)\.([\w$]+)\s+swap\s+with\s+\1\.([\w$]+)\s*;?\s*$")
def swap_schemas(cursor: Any, found: re.Match[str], sql: str) -> Any:
    """By name: what is in a schema stays where DuckDB has it, and the two names change places (`by_place`)."""
    check_grammar(sql)
    database, one, other = found[1].upper(), found[2].upper(), found[3].upper()  # places, not names
    there = {row[0].upper() for row in cursor._duck_conn.execute(
        "select schema_name from information_schema.schemata where upper(catalog_name) = ?", [database]
    ).fetchall()}  # fmt: skip
    if not {one, other} <= there:
        raise refuse(f"Schema '{one}' or '{other}' does not exist or not authorized.", 2043, "02000")
    names = {place: name for name, place in ((one, place_of(database, one)), (other, place_of(database, other)))}
    ACCOUNT.schemas[database, names[one]], ACCOUNT.schemas[database, names[other]] = other, one
    for connection in {id(each): each for each in (*fake_server.sessions.values(), cursor._conn)}.values():
        if connection.database == database and connection._schema in (one, other):
            connection._schema = other if connection._schema == one else one
            connection._duck_conn.execute(f"set schema = '{database}.{connection._schema}'")
    return done(cursor)


def place_of(database: str, schema: str) -> str:
    """Where DuckDB has the schema of this name: it has no other names for schemas."""
    return ACCOUNT.schemas.get((database.upper(), schema.upper()), schema.upper())


def by_place(sql: str) -> str:
    for (database, name), place in ACCOUNT.schemas.items():
        sql = re.sub(rf"\b{database}\.{name}\b", f"{database}.\0{place}", sql, flags=re.IGNORECASE)
    return sql.replace("\0", "")


@on(r"^\s*create\s+schema\b.*\bwith\s+managed\s+access\b")
def managed_schema(cursor: Any, found: re.Match[str], sql: str) -> Any:
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    return _original(cursor, re.sub(r"\s+with\s+managed\s+access\b", "", sql, flags=re.IGNORECASE))


@on(r"^\s*create\s+(?:or\s+replace\s+)?view\b.*\bsnowflake\.account_usage\.")
def account_usage_view(cursor: Any, found: re.Match[str], sql: str) -> Any:
    """Over tables of the same names and columns, empty until a test puts in what Snowflake's meters would tell."""
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    schema = f'"{cursor._conn.database}"."_ACCOUNT_USAGE"'
    cursor._duck_conn.execute(f"create schema if not exists {schema}")
    for name, columns in ACCOUNT_USAGE.items():
        cursor._duck_conn.execute(f"create table if not exists {schema}.{name} ({columns})")
    there = re.sub(r"snowflake\.account_usage\.", "_ACCOUNT_USAGE.", sql, flags=re.IGNORECASE)
    return _original(cursor, there)


ACCOUNT_USAGE = {
    "WAREHOUSE_METERING_HISTORY": "start_time timestamptz, warehouse_name varchar, credits_used double,"
    " credits_used_compute double, credits_used_cloud_services double",
    "QUERY_ATTRIBUTION_HISTORY": "query_id varchar, start_time timestamptz, warehouse_name varchar, query_tag varchar,"
    " credits_attributed_compute double, credits_used_query_acceleration double",
    "AUTOMATIC_CLUSTERING_HISTORY": "start_time timestamptz, database_name varchar, credits_used double",
    "SEARCH_OPTIMIZATION_HISTORY": "start_time timestamptz, database_name varchar, credits_used double",
}


@on(r"^\s*alter\s+(row\s+access|masking)\s+policy\s+" + NAME + r"\s+set\s+body\s*->\s*(.*?)\s*;?\s*$")
def set_body(cursor: Any, found: re.Match[str], sql: str) -> Any:
    kept = ACCOUNT.row_policies if found[1].lower().startswith("row") else ACCOUNT.masks
    name = full(cursor._conn, found[2])
    if name not in kept:
        raise refuse(f"Policy '{found[2]}' does not exist or not authorized.", 2003, "02000")
    kept[name].body = found[3]
    return done(cursor)


@on(r"^\s*alter\s+table\s+" + NAME + r"\s+(?:modify|alter)\s+column\s+(\w+)\s+unset\s+masking\s+policy")
def unset_mask(cursor: Any, found: re.Match[str], sql: str) -> Any:
    ACCOUNT.masked.get(full(cursor._conn, found[1]), {}).pop(found[2].upper(), None)
    return done(cursor)


@on(r"^\s*drop\s+(row\s+access|masking)\s+policy\s+(?:if\s+exists\s+)?" + NAME)
def drop_policy(cursor: Any, found: re.Match[str], sql: str) -> Any:
    name = full(cursor._conn, found[2])
    if any(policy == name for policy, _ in ACCOUNT.rows_of.values()):
        raise refuse(f"Policy {found[2]} cannot be dropped because it is attached.", 3518, "42601")
    ACCOUNT.row_policies.pop(name, None)
    ACCOUNT.masks.pop(name, None)
    return done(cursor)


@on(r"^\s*select\s+policy_name\s+from\s+table\s*\(.*policy_references\s*\(\s*ref_entity_name\s*=>\s*'([^']+)'")
def policy_references(cursor: Any, found: re.Match[str], sql: str) -> Any:
    name = full(cursor._conn, found[1])
    policies = [ACCOUNT.rows_of.get(name, (None,))[0], ACCOUNT.expiring.get(name, (None,))[0], ACCOUNT.tags.get(name)]
    rows = ", ".join(f"('{policy[2]}')" for policy in policies if policy)
    return _original(cursor, f"select column1 as policy_name from values {rows or '(null)'} where column1 is not null")


@on(r"^\s*drop\s+(stage|sequence)\s+(?:if\s+exists\s+)?" + NAME)
def drop_stage(cursor: Any, found: re.Match[str], sql: str) -> Any:
    if found[1].lower() == "sequence":
        return None
    name = full(cursor._conn, found[2])
    cursor._duck_conn.execute(
        "delete from _fs_global._fs_information_schema._fs_stages where database_name = ? and schema_name = ? and name = ?",
        list(name),
    )
    return done(cursor)


@on(RECORDED)
def record(cursor: Any, found: re.Match[str], sql: str) -> Any:
    if re.match(
        r"^\s*create\s+(or\s+replace\s+)?(transient\s+|temporary\s+)?(table|schema|database|view)", sql, re.IGNORECASE
    ):
        if re.search(r"\bcluster\s+by\b|\bdata_retention_time_in_days\b", sql, re.IGNORECASE):
            ACCOUNT.recorded.append(sql)  # without effect on the table, which is made all the same
        return None
    if re.match(r"^\s*alter\s+table\b.*\b(add|drop)\s+column\b", sql, re.IGNORECASE):
        return None
    check_grammar(sql)
    ACCOUNT.recorded.append(sql)
    return done(cursor)


# -- queries -------------------------------------------------------------------------------------------------------


def rewritten(cursor: Any, tree: Any) -> tuple[Any, list[Stream]]:
    """Streams, policies and context functions of a statement as plain SQL, and the streams that it reads."""
    used: list[Stream] = []
    target = tree.this if isinstance(tree, exp.Merge | exp.Insert | exp.Update | exp.Delete | exp.Create) else None
    if isinstance(target, exp.Schema):
        target = target.this
    own = {cte.alias.upper() for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)) if not isinstance(tree, exp.Create) else ():
        if (
            table is target
            or not isinstance(table.this, exp.Identifier)
            or (not table.db and table.name.upper() in own)
        ):
            continue
        name = full(
            cursor._conn, ".".join(f'"{part.name}"' if part.args.get("quoted") else part.name for part in table.parts)
        )
        if stream := ACCOUNT.streams.get(name):
            used.append(stream)
            query = sqlglot.parse_one(
                f"select * from {shown(cursor, name, stream)} as {table.alias or table.name}", read="duckdb"
            )
        elif name in ACCOUNT.rows_of or masks_of(name):
            query = sqlglot.parse_one(f"select * from ({guarded(name)}) as {table.alias or table.name}", read="duckdb")
        else:
            continue
        table.replace(query.args["from_"].this)
    role = getattr(cursor._conn, "_role", "PUBLIC")
    return tree.transform(lambda node: context(cursor, node, role)), used


def shown(cursor: Any, name: Name, stream: Stream) -> str:
    """The stream's changes as a temporary table: the same ones for as long as a transaction lasts."""
    seen = cursor._conn.__dict__.setdefault("_seen", set())
    table = f"temp.main._CHANGES_{name[2]}"
    if name not in seen:
        cursor._duck_conn.execute(f"create or replace temp table _CHANGES_{name[2]} as {changes(cursor, stream)}")
        if in_transaction(cursor):
            seen.add(name)
    return table


def guarded(name: Name) -> str:
    replaced = where = ""
    if name in ACCOUNT.rows_of:
        policy, columns = ACCOUNT.rows_of[name]
        where = " where " + bound(ACCOUNT.row_policies[policy], columns)
    if masked := masks_of(name):
        masks = (f"{bound(ACCOUNT.masks[policy], [column])} as {column}" for column, policy in masked.items())
        replaced = f" replace ({', '.join(masks)})"
    return f"select *{replaced} from {dotted(name)} as _guarded{where}"


def bound(policy: Policy, columns: list[str]) -> str:
    tree = sqlglot.parse_one(policy.body, read="snowflake")
    given = dict(zip(policy.arguments, columns, strict=True))
    for column in list(tree.find_all(exp.Column)):
        if not column.table and column.name.upper() in given:
            column.replace(exp.column(given[column.name.upper()], table="_guarded"))
    return str(tree.transform(membership).sql("snowflake"))


def membership(node: Any) -> Any:
    """ARRAY_CONTAINS(x::VARIANT, F()) as x IN (what F gathers)."""
    if not (isinstance(node, exp.ArrayContains) and isinstance(node.this, exp.Anonymous)):
        return node
    body = next((text for name, text in ACCOUNT.functions.items() if name[2] == node.this.name.upper()), None)
    if body is None:
        raise refuse(f"Unknown function {node.this.name}.", 2140, "42601")
    query: Any = sqlglot.parse_one(body, read="snowflake")
    gathered = query.selects[0].this
    query.set("expressions", gathered.expressions if isinstance(gathered, exp.Distinct) else [gathered])
    return exp.In(this=node.expression.unnest().this.copy(), query=exp.Subquery(this=query))


def context(cursor: Any, node: Any, role: str) -> Any:
    """One node of a statement as DuckDB would say it; most are as they are."""
    if isinstance(node, exp.GetExtract) and isinstance(node.expression, exp.Literal):  # as text it would be quoted
        steps = [exp.JSONPathRoot(), exp.JSONPathKey(this=node.expression.this)]
        return exp.JSONExtract(this=node.this, expression=exp.JSONPath(expressions=steps))
    if isinstance(node, exp.CountIf):  # of no rows it is 0, not NULL
        return exp.Count(this=exp.Case(ifs=[exp.If(this=node.this.copy(), true=exp.Literal.number(1))]))
    if isinstance(node, exp.HashAgg):  # of rows in any order; as text, because it is wider than a number
        each = exp.func("HASH", node.this.copy(), *(one.copy() for one in node.expressions))
        return exp.cast(exp.Sum(this=each), "varchar")
    if type(node).__name__ == "CurrentRole":
        return exp.Literal.string(role)
    if not isinstance(node, exp.Anonymous):
        return node
    name, given = node.name.upper(), node.expressions
    if name == "CURRENT_ROLE":
        return exp.Literal.string(role)
    if name == "IS_ROLE_IN_SESSION" and len(given) == 1:
        return exp.EQ(this=given[0].copy(), expression=exp.Literal.string(role))
    if name in ("TRY_TO_TIMESTAMP", "TRY_TO_TIMESTAMP_NTZ") and len(given) == 1:
        return exp.TryCast(this=given[0], to=exp.DataType.build("timestamp_ntz", dialect="snowflake"))
    if name == "SYSTEM$STREAM_HAS_DATA":
        stream = ACCOUNT.streams.get(full(cursor._conn, given[0].name))
        if stream is None:
            raise refuse(f"Stream '{given[0].name}' does not exist or not authorized.", 2003, "02000")
        [(has_data,)] = cursor._duck_conn.execute(f"select count(*) > 0 from ({changes(cursor, stream)})").fetchall()
        return exp.Boolean(this=has_data)
    return node


HISTORY = (
    "query_id varchar, query_text varchar, query_tag varchar, role_name varchar, execution_status varchar, error_message"
    " varchar, total_elapsed_time bigint, timeout_seconds varchar, start_time timestamp, end_time timestamp, database_name"
    " varchar, schema_name varchar, warehouse_name varchar, user_name varchar, error_code varchar, bytes_scanned bigint,"
    " rows_produced bigint, credits_used_cloud_services double, execution_time bigint, compilation_time bigint"
)


def history(cursor: Any, sql: str) -> str:
    """The statement with the log of this server where it names Snowflake's."""
    cursor._duck_conn.execute(f"create or replace temp table _history ({HISTORY})")
    if ACCOUNT.history:
        given = {f"c{place}": list(column) for place, column in enumerate(zip(*ACCOUNT.history, strict=True))}
        cursor._duck_conn.register("_given", pyarrow.table(given))
        cursor._duck_conn.execute(
            "insert into _history by position select c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, null, null, null, 'fake',"
            " null, null, null, null, c6, 0 from _given"
        )
        cursor._duck_conn.unregister("_given")
    nested = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
    pattern = rf"table\s*\(\s*information_schema\.query_history(?:_by_session)?\s*{nested}\s*\)|snowflake\.account_usage\.query_history"
    return re.sub(pattern, "temp.main._history", sql, flags=re.IGNORECASE | re.DOTALL)


_original = fake_cursor.FakeSnowflakeCursor.execute
_depth: contextvars.ContextVar[int] = contextvars.ContextVar("depth", default=0)


def execute(self: Any, command: str, params: Any = None, *args: Any, **kwargs: Any) -> Any:
    depth = _depth.get()
    token, began = _depth.set(depth + 1), time.monotonic()
    failure: str | None = None
    started = datetime.now(UTC).replace(tzinfo=None)
    try:
        if depth == 0:
            fail_as_told(re.sub(r"--[^\n]*", "", command))
            command = by_place(command)
        return _execute(self, command, params, *args, **kwargs)
    except errors.Error as error:
        failure = str(error)[:200]
        raise
    except Exception as error:  # else the connector would take it for a server in trouble, and try again and again
        failure = f"the emulator cannot do this: {type(error).__name__}: {error}"
        raise refuse(failure, 9_999, "99999") from error
    finally:
        _depth.reset(token)
        if depth == 0:
            said = {**getattr(self._conn, "_parameters", {}), **getattr(self._conn, "_statement", {})}
            elapsed = int((time.monotonic() - began) * 1000)
            ACCOUNT.history.append([
                str(uuid.uuid4()), command, said.get("QUERY_TAG"), getattr(self._conn, "_role", "PUBLIC"),
                "FAIL" if failure else "SUCCESS", failure, elapsed, str(said.get("STATEMENT_TIMEOUT_IN_SECONDS", "")),
                started, datetime.now(UTC).replace(tzinfo=None),
            ])  # fmt: skip


def fail_as_told(command: str) -> None:
    """A test said which statement is to fail, and how (POST /_emu/fault)."""
    for fault in list(ACCOUNT.faults):
        if re.search(fault["pattern"], command, re.IGNORECASE | re.DOTALL):
            ACCOUNT.faults.remove(fault)
            kind = getattr(errors, fault.get("kind", "ProgrammingError"))
            raise kind(msg=fault["message"], errno=fault["number"], sqlstate=fault.get("state", "00000"))


LIMIT_SECONDS = 172_800


@contextmanager
def time_limit(cursor: Any) -> Iterator[None]:
    """STATEMENT_TIMEOUT_IN_SECONDS: what runs longer is cancelled."""
    said = {**getattr(cursor._conn, "_parameters", {}), **getattr(cursor._conn, "_statement", {})}
    limit = int(said.get("STATEMENT_TIMEOUT_IN_SECONDS") or LIMIT_SECONDS)
    is_over = threading.Event()

    def stop() -> None:
        is_over.set()
        cursor._duck_conn.interrupt()

    timer = threading.Timer(limit, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if not is_over.is_set():
            raise
        message = f"Statement reached its statement or warehouse timeout of {limit} second(s) and was canceled."
        raise refuse(message, 630, "57014") from error
    finally:
        timer.cancel()


def limited(execute: Callable[..., Any]) -> Callable[..., Any]:
    """What a client said itself is limited, with all that it sets off."""

    def within(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _depth.get() > 1:
            return execute(self, *args, **kwargs)
        with time_limit(self):
            return execute(self, *args, **kwargs)

    return within


@limited
def _execute(self: Any, command: str, params: Any = None, *args: Any, **kwargs: Any) -> Any:
    bare = re.sub(r"--[^\n]*", "", command)
    checked = re.sub(r"\$\$.*?\$\$", "", bare, flags=re.DOTALL)  # what a task does is looked at when it runs
    for pattern, reason in REFUSED:
        if re.search(pattern, checked, re.IGNORECASE | re.DOTALL):
            raise refuse(f"the emulator refuses this: {reason}")
    for pattern_, handler in ROUTES:
        found = pattern_.match(bare)
        if found and (result := handler(self, found, bare)) is not None:
            return result
    if re.search(r"\bquery_history\s*\(|account_usage\.query_history", bare, re.IGNORECASE):
        return _original(self, history(self, bare), params, *args, **kwargs)
    if re.match(r"^\s*(begin|start\s+transaction)\b", bare, re.IGNORECASE):
        self._conn._is_in_transaction = True
    if re.match(r"^\s*(commit|rollback)\b", bare, re.IGNORECASE):
        return end(self, command, params, *args, **kwargs)
    if re.match(r"^\s*merge\b", bare, re.IGNORECASE):
        return merge(self, bare, kwargs.get("binding_params") or params)
    if not re.match(r"^\s*(select|with|insert|update|delete|create)\b", bare, re.IGNORECASE) or not wants_rewriting(
        bare
    ):
        return _original(self, command, params, *args, **kwargs)
    tree, used = rewritten(self, sqlglot.parse_one(bare, read="snowflake"))
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        for stream in used:
            look(self, stream)
    result = _original(self, tree.sql("snowflake"), params, *args, **kwargs)
    if not in_transaction(self):
        for stream in used:
            consume(self, stream)
    return result


def wants_rewriting(sql: str) -> bool:
    """Whether it says anything that fakesnow has no idea of."""
    text = sql.upper()
    named = (name[2] for known in (ACCOUNT.streams, ACCOUNT.rows_of, ACCOUNT.masked, ACCOUNT.tagged) for name in known)
    return any(word in text for word in (*CONTEXT, *named))


CONTEXT = ("CURRENT_ROLE", "IS_ROLE_IN_SESSION", "HASH_AGG", "SYSTEM$", "COUNT_IF", "GET(", "TRY_TO_TIMESTAMP")


def merge(cursor: Any, sql: str, params: Any) -> Any:
    """By DuckDB's own MERGE, which refuses a row that several rows match, as Snowflake does; fakesnow's would take it."""
    tree, used = rewritten(cursor, sqlglot.parse_one(sql, read="snowflake"))
    for action in tree.find_all(exp.Update, exp.Insert):
        names = action.this.expressions if isinstance(action, exp.Insert) and action.this else action.expressions
        for name in names:
            column = name.this if isinstance(name, exp.EQ) else name
            if isinstance(column, exp.Column):
                column.set("table", None)
    for stream in used:
        look(cursor, stream)
    given = list(params) if params else None
    text = cursor._transform(tree, given).sql("duckdb")
    try:
        actions = [row[0] for row in cursor._duck_conn.execute(f"{text} RETURNING merge_action", given).fetchall()]
    except duckdb.Error as error:
        number = 100_090 if "more than once" in str(error) or "multiple" in str(error).lower() else 100_035
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            number = 2_003
        raise refuse(str(error).splitlines()[0], number, "22000") from error
    if not in_transaction(cursor):
        for stream in used:
            consume(cursor, stream)
    inserted = sum(action == "INSERT" for action in actions)
    counts = f'select {inserted} as "number of rows inserted", {len(actions) - inserted} as "number of rows updated"'
    cursor._execute(sqlglot.parse_one(counts))
    return cursor


def in_transaction(cursor: Any) -> bool:
    return bool(getattr(cursor._conn, "_is_in_transaction", False))


def end(cursor: Any, command: str, params: Any, *args: Any, **kwargs: Any) -> Any:
    is_commit = command.strip().lower().startswith("commit")
    cursor._conn._is_in_transaction = False
    cursor._conn.__dict__.pop("_seen", None)
    for stream in [one for one in ACCOUNT.streams.values() if one.table[0] == cursor._conn.database]:
        if is_commit:
            consume(cursor, stream)
        else:
            stream.pending = None
    return _original(cursor, command, params, *args, **kwargs)


fake_cursor.FakeSnowflakeCursor.execute = execute

_parse = fake_server.parse_one


def parse_one(sql: str) -> Any:
    """The server parses before the cursor does: what sqlglot cannot read but we can must get that far."""
    try:
        return _parse(sql)
    except errors.ProgrammingError:
        if any(pattern.match(re.sub(r"--[^\n]*", "", sql)) for pattern, _ in ROUTES):
            return exp.Command(this="DDL", expression=exp.Literal.string(sql))
        raise


fake_server.parse_one = parse_one


_times = fake_arrow.timestamp_to_sf_struct


def times(column: Any) -> Any:
    """fakesnow sends a time that is NULL as 1970."""
    whole = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    filled = _times(whole.fill_null(0))
    fields = [filled.type.field(place) for place in range(filled.type.num_fields)]
    return pyarrow.StructArray.from_arrays(filled.flatten(), fields=fields, mask=whole.is_null())


fake_arrow.timestamp_to_sf_struct = times


_stage_info = fake_server.gcs_stage_info


def stage_info(request: Request, expression: Any, put: Any) -> dict[str, Any]:
    """Connector 5.x wants a region, goes by what the statement says of OVERWRITE, and does not ask again under the name
    that the file has once it is compressed, as 4.x does."""
    connection: Any = fake_server.sessions[fake_server.to_token(request)]
    put["overwrite"] = bool(re.search(r"\boverwrite\s*=\s*true\b", connection._said, re.IGNORECASE))
    info = _stage_info(request, expression, put)
    name = put["src_locations"][0]
    if put["autoCompress"] and not name.endswith(".gz"):
        info["presignedUrl"] += ".gz"
    return {**info, "region": "us-central1"}


fake_server.gcs_stage_info = stage_info


# -- the server ----------------------------------------------------------------------------------------------------


async def body_of(request: Request) -> dict[str, Any]:
    body = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return dict(json.loads(body))


_connect = fake_server.shared_fs.connect


def connect(database: Any = None, schema: Any = None, **more: Any) -> Any:
    return _connect(database, schema and place_of(database or "", schema), **more)


fake_server.shared_fs.connect = connect


async def login(request: Request) -> JSONResponse:
    """5.x wants a master token, too."""
    said = (await body_of(request))["data"]
    if reason := no_entry(said):
        return JSONResponse({"data": None, "code": reason[0], "message": reason[1], "success": False})
    answer = json.loads(bytes((await fake_server.login_request(request)).body))
    data = answer["data"]
    data |= {"masterToken": data["token"], "validityInSeconds": 3600, "masterValidityInSeconds": 14400, "sessionId": 1}
    role = (request.query_params.get("roleName") or "PUBLIC").upper()
    data["sessionInfo"]["roleName"] = role
    connection: Any = fake_server.sessions[data["token"]]
    connection._role = role
    connection._parameters = {key.upper(): value for key, value in said["SESSION_PARAMETERS"].items()}
    return JSONResponse(answer)


def no_entry(said: dict[str, Any]) -> tuple[str, str] | None:
    """Why not: the password is `snow`, an OAuth token begins with `fresh`, a key pair is the one of POST /_emu/user."""
    kind, token = said.get("AUTHENTICATOR", "SNOWFLAKE").upper(), str(said.get("TOKEN"))
    if kind == "OAUTH":
        if token.startswith("fresh"):
            return None
        if token.startswith("expired"):
            return "390318", "OAuth access token expired. [b6ca8a3f]"
        return "390303", "Invalid OAuth access token. [2ec1bd71]"
    if kind == "SNOWFLAKE_JWT":
        return None if is_of_now(token) else ("390144", "JWT token is invalid. [0ce9eb56]")
    return None if said.get("PASSWORD") == "snow" else ("390100", "Incorrect username or password was specified.")


def is_of_now(token: str) -> bool:
    """Signed with the user's key, issued less than a minute ago by this server's clock."""
    clock = time.time() + ACCOUNT.ahead_seconds
    try:
        said = jwt.decode(
            token, ACCOUNT.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
    except (jwt.PyJWTError, ValueError):
        return False
    return bool(said["iat"] - 60 <= clock < said["exp"])


async def user(request: Request) -> JSONResponse:
    said = await request.json()
    ACCOUNT.public_key, ACCOUNT.ahead_seconds = said["public_key"], said["ahead_seconds"]
    return JSONResponse({})


async def query(request: Request) -> JSONResponse:
    """Parameters of the statement alone come beside it."""
    said = await body_of(request)
    connection: Any = fake_server.sessions.get(fake_server.to_token(request))
    if connection is None:  # as Snowflake says it: a session that is no more
        return JSONResponse({"data": None, "code": "390111", "message": "Session no longer exists.", "success": False})
    connection._said = said["sqlText"]
    connection._statement = {key.upper(): value for key, value in (said.get("parameters") or {}).items()}
    asked = request.query_params.get("requestId", "")
    if asked not in ANSWERS:
        ANSWERS[asked] = await fake_server.query_request(request)
        for forgotten in list(ANSWERS)[:-ANSWERS_KEPT]:
            del ANSWERS[forgotten]
    return ANSWERS[asked]


ANSWERS: dict[str, JSONResponse] = {}
"""By request: one that is told again, because its answer was lost, gets the same answer and runs once, as in Snowflake."""
ANSWERS_KEPT = 64


async def tick(request: Request) -> JSONResponse:
    """What Snowflake's scheduler would do now: every started task without a schedule whose WHEN holds, as its owner."""
    said = await request.json()
    connection: Any = fake_server.shared_fs.connect(said["database"], said["schema"])
    connection._role = "CDESK_OWNER"
    before, there = len(ACCOUNT.runs), (connection.database, connection._schema)
    for name, task in list(ACCOUNT.tasks.items()):
        is_due = not re.search(r"\bschedule\s*=", task.text.partition("$$")[0], re.IGNORECASE)
        if task.state == "started" and is_due and name[:2] == there:
            run(connection.cursor(), name)
    return JSONResponse(ACCOUNT.runs[before:])


async def expired(request: Request) -> JSONResponse:
    """Lifecycle policies of all tables of a schema have run."""
    said = await request.json()
    connection: Any = fake_server.shared_fs.connect(said["database"], said["schema"])
    connection._role = "CDESK_OWNER"
    for table in [name for name in ACCOUNT.expiring if name[:2] == (connection.database, connection._schema)]:
        expire(connection.cursor(), table)
    return JSONResponse({})


async def fault(request: Request) -> JSONResponse:
    ACCOUNT.faults.append(await request.json())
    return JSONResponse({})


async def forget_sessions(request: Request) -> JSONResponse:
    """Every session ends, as when the account is restarted."""
    fake_server.sessions.clear()
    return JSONResponse({})


async def run_now(request: Request) -> JSONResponse:
    """EXECUTE TASK, and what came of it."""
    said = await request.json()
    connection: Any = fake_server.shared_fs.connect(said["database"], said["schema"])
    connection._role = "CDESK_OWNER"
    before = len(ACCOUNT.runs)
    run(connection.cursor(), (said["database"].upper(), said["schema"].upper(), said["task"].upper()))
    return JSONResponse(ACCOUNT.runs[before:])


async def recorded(request: Request) -> JSONResponse:
    return JSONResponse(ACCOUNT.recorded)


def telemetry(request: Request) -> JSONResponse:
    return JSONResponse({"success": True})


app = Starlette(routes=[
    Route("/session/v1/login-request", login, methods=["POST"]),
    Route("/queries/v1/query-request", query, methods=["POST"]),
    Route("/telemetry/send", telemetry, methods=["POST"]),
    Route("/_emu/tick", tick, methods=["POST"]),
    Route("/_emu/expire", expired, methods=["POST"]),
    Route("/_emu/fault", fault, methods=["POST"]),
    Route("/_emu/run", run_now, methods=["POST"]),
    Route("/_emu/user", user, methods=["POST"]),
    Route("/_emu/forget", forget_sessions, methods=["POST"]),
    Route("/_emu/recorded", recorded),
    *[route for route in fake_server.routes if route.path not in ("/session/v1/login-request", "/queries/v1/query-request")],
])  # fmt: skip

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
