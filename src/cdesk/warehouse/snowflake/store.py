"""The warehouse of a team: a database in Snowflake, written by many machines."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdesk.activity.model import Activity, RawActivity
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import SnowflakeSettings
from cdesk.errors import QueryRefused
from cdesk.warehouse.snowflake.identity import SnowflakeIdentities
from cdesk.warehouse.snowflake.merge import Merger
from cdesk.warehouse.snowflake.sessions import Result, Session, Sessions
from cdesk.warehouse.snowflake.trouble import answered, connector_errors, is_lost, translated
from cdesk.warehouse.warehouse import IS_DATA, STREAM, Answer, Execution, Merged

T = TypeVar("T")

_NEWEST = f"SELECT MAX(ts) FROM {STREAM} WHERE {IS_DATA}"


class SnowflakeWarehouse:
    """Nothing is opened before it is asked for. SQL is Snowflake's own; names without quotes come back in lower case."""

    def __init__(
        self,
        settings: SnowflakeSettings,
        *,
        clock: Clock = SYSTEM_CLOCK,
        sessions: Sessions | None = None,
        new_query_id: Callable[[], str] | None = None,
    ) -> None:
        self._clock = clock
        self._sessions = sessions or Sessions(settings)
        self._new_query_id = new_query_id or self._made_up
        self._writing = threading.Lock()
        self._merger = Merger(clock, self._new_query_id)
        self.identities = SnowflakeIdentities(self._sessions.take, self._new_query_id)

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        """A session that was lost has taken its transaction with it; the batch is told again by whoever holds it."""
        with self._writing, translated(), self._sessions.take() as session:
            return self._merger.merge(session, activities)

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        query_id = self._new_query_id()
        with translated():
            return _answer(self._asked(lambda session: session.execute(
                sql, parameters, query_id=query_id, rows_max=rows_max
            )), query_id)  # fmt: skip

    def ask(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        query_id: str,
        rows_max: int,
        seconds_max: float,
        execution: Execution | None = None,
    ) -> Answer:
        """What the role may read is Snowflake's to say: give [snowflake] a role that can only read (CDESK_READER).

        What was interrupted before it began is refused; a statement that runs is left to its time limit."""
        if execution is not None and execution.is_interrupted:
            raise QueryRefused("the query was cancelled.")
        statement = _one_select(sql)
        with answered(seconds_max):
            return _answer(self._asked(lambda session: session.execute(
                statement, parameters, query_id=query_id, rows_max=rows_max, seconds_max=seconds_max
            )), query_id)  # fmt: skip

    def count(self) -> int:
        return int(self.query(f"SELECT COUNT(*) FROM {STREAM}").rows[0][0])

    def data_as_of(self) -> datetime | None:
        newest = self.query(_NEWEST).rows[0][0]
        return None if newest is None else newest.replace(tzinfo=UTC)

    def compact(self) -> bool:
        """Snowflake does that by itself."""
        return False

    def close(self) -> None:
        self._sessions.close()

    def _asked(self, question: Callable[[Session], T]) -> T:
        """Asked once more of another session when this one was lost: a question changes nothing."""
        try:
            with self._sessions.take() as session:
                return question(session)
        except connector_errors().Error as error:
            if not is_lost(error):
                raise
        with self._sessions.take() as session:
            return question(session)

    def _made_up(self) -> str:
        return f"q_{self._clock.now_ns() // 1_000_000:x}_{secrets.token_hex(4)}"


def _answer(result: Result, query_id: str) -> Answer:
    columns = tuple(name.lower() if name.isupper() else name for name in result.columns)
    return Answer(columns, result.types, [tuple(row) for row in result.rows], query_id)


def _one_select(sql: str) -> str:
    """The text of exactly one query that touches no stage. Raises QueryRefused."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="snowflake") if tree is not None]
    except SqlglotError as error:
        raise QueryRefused(
            f"this is not SQL: {str(error).partition(chr(10))[0].rstrip('. ')}.", "See `cdesk sql --help` for examples."
        ) from None
    trees = [tree for tree in trees if not isinstance(tree, exp.Semicolon)]
    if len(trees) != 1:
        raise QueryRefused(f"one statement at a time, not {len(trees)}.")
    if not isinstance(trees[0], exp.Query):
        raise QueryRefused("only SELECT is allowed here.", "The warehouse is read-only for questions.")
    if any(table.name.startswith("@") or isinstance(table.this, exp.Var) for table in trees[0].find_all(exp.Table)):
        raise QueryRefused("questions read tables and views, not stages.")
    if any("$" in call.name for call in trees[0].find_all(exp.Anonymous)):
        raise QueryRefused("functions of the system are not allowed here.", "Some of them end what others do.")
    return sql.strip().rstrip(";")
