"""Puts the numbered files of `schema/` into a warehouse, once each, and again when they changed.

    schema/NN_name.sql ──checksum──▶ same as recorded in ACTIVITY_SCHEMA_VERSION? skip : run and record

A step is one file, run and recorded in one transaction: it is there wholly or not at all, and a deploy that was cut
short goes on where it stopped. When a file changed, those after it run again too, because a view remembers the
columns of the views it reads. The checksum covers the file and the dialect that reads it, so that a mended rule
reaches the views. A warehouse that is current costs one query: sqlglot is not even imported.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from cdesk.clock import SYSTEM_CLOCK, Clock

SCHEMA_FOLDER = Path(__file__).parent / "schema"
_DIALECT = Path(__file__).parent.parent / "sql" / "dialect.py"

Reason = Literal["new", "changed", "follows"]


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
    checksum_before   SHA-256 recorded when it was last applied, hex; None when new
    checksum_after    SHA-256 it will be recorded with, hex
    sql               the file's text, Snowflake's SQL
    """

    name: str
    reason: Reason
    checksum_before: str | None
    checksum_after: str
    sql: str = field(repr=False)


def plan(connection: Connection, folder: Path = SCHEMA_FOLDER) -> list[Step]:
    """The steps that `apply` would take now, in order; [] when the warehouse is current. Changes nothing."""
    recorded = _recorded(connection)
    dialect = _DIALECT.read_bytes()
    steps: list[Step] = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        text = path.read_bytes()
        before, after = recorded.get(path.name), sha256(text + dialect).hexdigest()
        if steps or before != after:
            reason = _reason(before, after)
            steps.append(Step(path.name, reason, before, after, text.decode()))
    return steps


def apply(connection: Connection, folder: Path = SCHEMA_FOLDER, clock: Clock = SYSTEM_CLOCK) -> list[Step]:
    """Takes the steps of `plan` and gives them back. Applying twice does nothing the second time.

    Raises UnsupportedSQL for a file outside the portable subset, or the connection's own error; the step that failed
    is rolled back, those before it stay.
    """
    steps = plan(connection, folder)
    for step in steps:
        _run(connection, step, clock)
    return steps


def _reason(before: str | None, after: str) -> Reason:
    if before is None:
        return "new"
    return "changed" if before != after else "follows"


def _run(connection: Connection, step: Step, clock: Clock) -> None:
    from cdesk.sql.dialect import to_duckdb

    statements = to_duckdb(step.sql)
    [record] = to_duckdb(_sql("record_step"))
    connection.execute("BEGIN")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(record, _values(step, clock))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _values(step: Step, clock: Clock) -> tuple[object, ...]:
    return (step.name, clock.now().replace(tzinfo=None), _user(), step.checksum_before, step.checksum_after)


def _recorded(connection: Connection) -> dict[str, str]:
    if not connection.execute(_sql("has_version_table")).fetchall():
        return {}
    return dict(connection.execute(_sql("recorded_steps")).fetchall())


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def _sql(name: str) -> str:
    return (SCHEMA_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
