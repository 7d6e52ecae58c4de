"""Puts the numbered files of `schema/` into a warehouse, once each, and again when they changed.

    schema/NN_name.sql ──checksum──▶ same as recorded in ACTIVITY_SCHEMA_VERSION? skip : run and record

A step is one file, run and recorded in one transaction: it is there wholly or not at all, and a deploy that was cut
short goes on where it stopped. When a file changed, those after it run again too, because a view remembers the
columns of the views it reads. The checksum covers the file and the dialect that reads it, so that a mended rule
reaches the views. A warehouse that is current costs one query: sqlglot is not even imported.

What was applied is kept with the text that leads back (`undoing`), and so a deployment, all steps of one `apply`, can be
rolled back: what it made is dropped, unless it holds rows; what it changed is as it was. Columns that came stay.

Snowflake's steps are in `snowflake/deploy.py`; they are recorded and undone as these are.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from cdesk.clock import SYSTEM_CLOCK, Clock

SCHEMA_FOLDER = Path(__file__).parent / "schema"
_DIALECT = Path(__file__).parent.parent / "sql" / "dialect.py"

Reason = Literal["new", "changed", "follows", "replaced"]


class Connection(Protocol):
    """What a deploy needs of a warehouse; `duckdb.DuckDBPyConnection` is one. No transaction may be open."""

    def execute(self, query: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...


class Cursor(Protocol):
    def fetchall(self) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One file that has to run.

    name              the file's name
    reason            new: never applied · changed: the file or the dialect did · follows: an earlier file runs
                      replaced: undone, because the settings chose another file for the same
    checksum_before   SHA-256 recorded when it was last applied, hex; None when new
    checksum_after    SHA-256 it will be recorded with, hex; None when replaced
    sql               the file's text, Snowflake's SQL
    """

    name: str
    reason: Reason
    checksum_before: str | None
    checksum_after: str | None
    sql: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` found wrong: with which step or object, and what about it."""

    name: str
    said: str


@dataclass(frozen=True, slots=True)
class Undone:
    """One step that was rolled back. kept: tables that hold rows, and so were not dropped"""

    name: str
    kept: tuple[str, ...]


def plan(connection: Connection, folder: Path = SCHEMA_FOLDER) -> list[Step]:
    """The steps that `apply` would take now, in order; [] when the warehouse is current. Changes nothing."""
    known = recorded(connection)
    dialect = _DIALECT.read_bytes()
    steps: list[Step] = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        text = path.read_bytes()
        before, after = known.get(path.name), sha256(text + dialect).hexdigest()
        if steps or before != after:
            reason = _reason(before, after)
            steps.append(Step(path.name, reason, before, after, text.decode()))
    return steps


def apply(
    connection: Connection, folder: Path = SCHEMA_FOLDER, clock: Clock = SYSTEM_CLOCK, git_sha: str | None = None
) -> list[Step]:
    """Takes the steps of `plan` and gives them back. Applying twice does nothing the second time.

    Raises UnsupportedSQL for a file outside the portable subset, or the connection's own error; the step that failed
    is rolled back, those before it stay.
    """
    steps = plan(connection, folder)
    if steps:
        at = clock.now().replace(tzinfo=None)
        before = texts(connection)
        for step in steps:
            _run(connection, step, Record(step, at, git_sha, undoing(before.get(step.name), step.sql)))
    return steps


def verify(connection: Connection, folder: Path = SCHEMA_FOLDER) -> list[Finding]:
    """What is not as the files say: steps that have to run, tables and views that are missing or cannot be read."""
    found = [Finding(step.name, f"has to run: {step.reason}") for step in plan(connection, folder)]
    for path in sorted(folder.glob("[0-9]*.sql")):
        for name, columns in declared(path.read_text("utf-8")):
            found += unreadable(name, columns, lambda sql: _columns_of(connection, sql))
    return found


def rollback(connection: Connection) -> list[Undone]:
    """Undoes the newest deployment that stands, last step first; [] when there is none. What failed stays recorded as
    completed, so that it can be tried again."""
    from cdesk.sql.dialect import to_duckdb

    undone: list[Undone] = []
    for version, name, back in newest(connection):
        kept = tuple(_with_rows(connection, back))
        connection.execute("BEGIN")
        try:
            for statement in to_duckdb(without(back, kept)):
                connection.execute(statement)
            connection.execute(to_duckdb(sql("undo_step"))[0], (version,))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        undone.append(Undone(name, kept))
    return undone


# -- for any engine ------------------------------------------------------------------------------------------------

_MADE = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:TRANSIENT\s+)?"
    r"(TABLE|VIEW|STAGE|SEQUENCE|STREAM|TASK|TAG|ALERT|FUNCTION|ROW\s+ACCESS\s+POLICY|MASKING\s+POLICY"
    r"|STORAGE\s+LIFECYCLE\s+POLICY)\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w$.]+(?:\(\))?)",
    re.IGNORECASE,
)
_TURNED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(forth, re.IGNORECASE | re.DOTALL), back)
    for forth, back in (
        (r"GRANT\s+(.*?)\s+TO\s+ROLE\s+(\w+)\s*$", r"REVOKE \1 FROM ROLE \2"),
        (r"ALTER\s+TABLE\s+([\w.]+)\s+ADD\s+(ROW\s+ACCESS\s+POLICY\s+\w+).*", r"ALTER TABLE \1 DROP \2"),
        (r"ALTER\s+TABLE\s+([\w.]+)\s+ADD\s+(STORAGE\s+LIFECYCLE\s+POLICY).*", r"ALTER TABLE \1 DROP \2"),
        (
            r"ALTER\s+TABLE\s+([\w.]+)\s+(MODIFY\s+COLUMN\s+\w+)\s+SET\s+MASKING\s+POLICY.*",
            r"ALTER TABLE \1 \2 UNSET MASKING POLICY",
        ),
        (r"ALTER\s+TABLE\s+([\w.]+)\s+(MODIFY\s+COLUMN\s+\w+)\s+SET\s+(TAG\s+\w+).*", r"ALTER TABLE \1 \2 UNSET \3"),
        (r"ALTER\s+TAG\s+([\w.]+)\s+SET\s+(MASKING\s+POLICY\s+\w+).*", r"ALTER TAG \1 UNSET \2"),
    )
)
"""What is undone by another statement than DROP."""
_DROPPED = re.compile(r"DROP TABLE IF EXISTS ([\w.]+)")
_LOG = "ACTIVITY_SCHEMA_VERSION"
"""Never dropped: it says what was."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a step: when its deployment began (UTC), by which revision, and the SQL that leads back."""

    step: Step
    at: datetime
    git_sha: str | None
    rollback_sql: str | None
    status: str = "completed"

    @property
    def values(self) -> tuple[object, ...]:
        """For `record_step.sql`."""
        step = self.step
        return (
            self.git_sha, step.name, self.at, _user(), self.rollback_sql, step.checksum_before, step.checksum_after,
            self.status, step.sql,
        )  # fmt: skip


def undoing(before: str | None, after: str) -> str:
    """The SQL that leads from `after` back to `before`, Snowflake's: what only `after` makes is dropped, last first."""
    had = {" ".join(statement.split()) for statement in statements(before)} if before else set()
    made = [_MADE.match(statement) for statement in statements(before or "")]
    known = {(found[1].upper(), found[2].upper()) for found in made if found}
    back = []
    for statement in reversed(statements(after)):
        if " ".join(statement.split()) in had:
            continue
        if found := _MADE.match(statement):
            kind, name = " ".join(found[1].upper().split()), found[2]
            if (kind, name.upper()) not in known and name.upper().rpartition(".")[2] != _LOG:
                back.append(f"DROP {kind} {'' if kind == 'MASKING POLICY' else 'IF EXISTS '}{name}")
        elif turned := turned_back(statement):
            back.append(turned)
    return ";\n".join([*back, *statements(before or "")])


def turned_back(statement: str) -> str | None:
    """What takes back a grant, a policy or a tag; None for any other statement."""
    return next((found.expand(back) for forth, back in _TURNED if (found := forth.match(statement))), None)


def without(back: str, kept: Sequence[str]) -> str:
    """The same, dropping none of these tables."""
    spared = {f"DROP TABLE IF EXISTS {name}" for name in kept}
    return ";\n".join(statement for statement in statements(back) if statement not in spared)


def dropped_tables(back: str) -> list[str]:
    return [found[1] for statement in statements(back) if (found := _DROPPED.fullmatch(statement))]


def statements(text: str) -> list[str]:
    """Of a Snowflake text, in order, without the comments around them."""
    from sqlglot import TokenType, tokenize

    found, begin = [], None
    end = 0
    for token in tokenize(text, read="snowflake"):
        if token.token_type is TokenType.SEMICOLON:
            if begin is not None:
                found.append(text[begin:end])
            begin = None
            continue
        begin = token.start if begin is None else begin
        end = token.end + 1
    return found if begin is None else [*found, text[begin:end]]


def declared(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tables with their columns, and views, that a text makes."""
    for statement in statements(text):
        found = _MADE.match(statement)
        if found is None or found[1].upper() not in ("TABLE", "VIEW"):
            continue
        yield found[2], _column_names(statement) if found[1].upper() == "TABLE" else ()


def tables(of: Sequence[str]) -> list[str]:
    """Names of the tables that these statements make."""
    made = (_MADE.match(statement) for statement in of)
    return [found[2] for found in made if found and found[1].upper() == "TABLE"]


def _column_names(statement: str) -> tuple[str, ...]:
    lines = re.sub(r"--[^\n]*", "", statement[statement.index("(") + 1 :]).splitlines()
    found = (re.match(r"\s+([\w]+)\s+[A-Z]", line) for line in lines)
    return tuple(one[1].upper() for one in found if one)


def unreadable(name: str, columns: Sequence[str], columns_of: Callable[[str], Sequence[str]]) -> Iterator[Finding]:
    """columns_of: names of the columns of a query; raises whatever the engine says."""
    try:
        there = {column.upper() for column in columns_of(f"SELECT * FROM {name} LIMIT 0")}
    except Exception as error:
        yield Finding(name, f"cannot be read: {str(error).strip().splitlines()[0]}")
        return
    if missing := [column for column in columns if column not in there]:
        yield Finding(name, f"lacks {', '.join(missing)}")


def newest(connection: Connection) -> list[tuple[int, str, str]]:
    """Of the newest deployment that stands: number, name and way back of each step, last first. Steps that were deployed
    by a version that kept no way back are not among them."""
    if not connection.execute(sql("has_version_table")).fetchall():
        return []
    found = connection.execute(sql("newest_deployment")).fetchall()
    return [(int(version), str(name), str(back)) for version, name, back in found]


def texts(connection: Connection) -> Mapping[str, str]:
    """Of each step as it was last completed, where it was kept."""
    if not connection.execute(sql("has_version_table")).fetchall():
        return {}
    connection.execute(sql("version_text"))
    return {name: text for name, text in connection.execute(sql("recorded_texts")).fetchall() if text}


def _reason(before: str | None, after: str) -> Reason:
    if before is None:
        return "new"
    return "changed" if before != after else "follows"


def _run(connection: Connection, step: Step, record: Record) -> None:
    from cdesk.sql.dialect import to_duckdb

    connection.execute("BEGIN")
    try:
        for statement in to_duckdb(step.sql):
            connection.execute(statement)
        connection.execute(sql("version_text"))
        connection.execute(to_duckdb(sql("record_step"))[0], record.values)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _with_rows(connection: Connection, back: str) -> Iterator[str]:
    for name in dropped_tables(back):
        if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchall():
            yield name


def _columns_of(connection: Connection, sql: str) -> list[str]:
    described = connection.execute(f"DESCRIBE {sql}").fetchall()
    return [str(row[0]) for row in described]


def recorded(connection: Connection) -> dict[str, str]:
    """Checksums of steps as they were last completed."""
    if not connection.execute(sql("has_version_table")).fetchall():
        return {}
    return dict(connection.execute(sql("recorded_steps")).fetchall())


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def sql(name: str) -> str:
    """One of the texts in `schema/` that are no steps."""
    return (SCHEMA_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
