"""Sessions with Snowflake: opened when first wanted, kept for the next who asks, and opened anew when they are lost.

Every statement bears a query tag, `cdesk:<query_id>`, and a time limit; both travel with the statement, so that they cost
no request of their own and never stay behind for another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdesk.config import SnowflakeSettings
from cdesk.errors import ConfigError
from cdesk.warehouse.snowflake.trouble import connector_errors, first_line, is_lost

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

IDLE_MAX = 4
"""Sessions kept open for whoever asks next."""
LOGIN_SECONDS = 30
NETWORK_SECONDS = 60
"""How much longer than a statement may take its answer is waited for. The connector would cancel what is not answered in
time, and would try again for as long while the network is away."""
TAG = "cdesk:{}"


@dataclass(frozen=True, slots=True)
class Result:
    """columns: names and Snowflake's type names · count: rows that the statement changed or gave · sfqid: Snowflake's id
    of the query"""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    count: int
    sfqid: str


class Session:
    """One connection. One thread at a time. Raises the connector's own errors."""

    def __init__(self, connection: SnowflakeConnection, seconds_max: float) -> None:
        self._connection = connection
        self._seconds_max = seconds_max
        self.is_lost = False

    def execute(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        query_id: str,
        seconds_max: float | None = None,
        rows_max: int | None = None,
        file: BytesIO | None = None,
    ) -> Result:
        """The outcome of one statement with `?` for its values. file: what a PUT sends."""
        limit = max(1, round(seconds_max or self._seconds_max))
        limits: dict[str, Any] = {"QUERY_TAG": TAG.format(query_id), "STATEMENT_TIMEOUT_IN_SECONDS": limit}
        more: dict[str, Any] = {"file_stream": file} if file is not None else {}
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(
                    sql, tuple(parameters) or None, _statement_params=limits, timeout=limit + NETWORK_SECONDS, **more
                )
                described = cursor.description or []
                rows = cursor.fetchall() if rows_max is None else cursor.fetchmany(rows_max)
                return Result(
                    tuple(column.name for column in described), tuple(_type(column.type_code) for column in described),
                    rows, cursor.rowcount or 0, cursor.sfqid or "",
                )  # fmt: skip
        except BaseException as error:
            self.is_lost = self.is_lost or is_lost(error)
            raise

    @contextmanager
    def transaction(self, query_id: str) -> Iterator[None]:
        """All of it or nothing. A session that is lost in the middle takes its transaction with it."""
        self.execute("BEGIN", query_id=query_id)
        try:
            yield
            self.execute("COMMIT", query_id=query_id)
        except BaseException:
            if not self.is_lost:
                self._roll_back(query_id)
            raise

    def _roll_back(self, query_id: str) -> None:
        try:
            self.execute("ROLLBACK", query_id=query_id)
        except connector_errors().Error:
            self.is_lost = True

    def close(self) -> None:
        """Says goodbye once; what is lost may not hear it."""
        with suppress(Exception):
            self._connection.close(retry=False)


class Sessions:
    """As many as are asked for at once; a few are kept. Raises ConfigError when the settings cannot be used."""

    def __init__(self, settings: SnowflakeSettings, *, connect: Callable[..., Any] | None = None) -> None:
        self._settings = settings
        self._connect = connect
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._is_closed = False

    @contextmanager
    def take(self) -> Iterator[Session]:
        """Raises the connector's own errors. A session that was lost is not given to anybody again."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = self._open()
        try:
            yield session
        finally:
            self._put_back(session)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _put_back(self, session: Session) -> None:
        """What took one session has mostly taken the others, too."""
        given_up = [session]
        with self._lock:
            if session.is_lost:
                given_up += self._idle
                self._idle = []
            elif not self._is_closed and len(self._idle) < IDLE_MAX:
                self._idle.append(session)
                given_up = []
        for one in given_up:
            one.close()

    def _open(self) -> Session:
        connect = self._connect or _connector()
        given = arguments(self._settings)
        try:
            connection = connect(**given)
        except (OSError, ValueError, TypeError) as error:  # a key that cannot be read, a name that no file has
            raise ConfigError(
                f"cannot sign in to Snowflake: {first_line(error)}.", "See [snowflake] in config.toml."
            ) from None
        return Session(connection, self._settings.statement_seconds_max)


def arguments(settings: SnowflakeSettings) -> dict[str, Any]:
    """What the connector is given; no secret is among it but a token read from its file. Raises ConfigError."""
    given: dict[str, Any] = {
        "connection_name": settings.connection, "account": settings.account, "user": settings.user,
        "role": settings.role, "warehouse": settings.warehouse,
    }  # fmt: skip
    if settings.connections_file:
        given["connections_file_path"] = Path(settings.connections_file).expanduser()
    if settings.private_key_file:
        given["private_key_file"] = str(Path(settings.private_key_file).expanduser())
        given["authenticator"] = "SNOWFLAKE_JWT"
    if settings.token_file:
        given["token"] = _token(Path(settings.token_file).expanduser())
        given["authenticator"] = "OAUTH"
    return {name: value for name, value in given.items() if value is not None} | {
        "database": settings.database, "schema": settings.schema, "paramstyle": "qmark", "application": "cdesk",
        "login_timeout": LOGIN_SECONDS,
        "network_timeout": round(settings.statement_seconds_max) + NETWORK_SECONDS,
        "session_parameters": {"TIMEZONE": "UTC", "QUERY_TAG": TAG.format("session")},
    }  # fmt: skip


def _token(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the OAuth token in {path}: {error}.", "See [snowflake] in config.toml."
        ) from None


def _connector() -> Callable[..., Any]:
    connector_errors()
    connect: Callable[..., Any] = import_module("snowflake.connector").connect
    return connect


_NAMES = {"FIXED": "NUMBER", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


def _type(code: int) -> str:
    from snowflake.connector.constants import FIELD_ID_TO_NAME

    name = str(FIELD_ID_TO_NAME[code])
    return _NAMES.get(name, name)
