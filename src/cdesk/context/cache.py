"""The cache itself: one SQLite file in WAL mode that the service writes and any number of processes read.

    service ──keep──▶ cache.sqlite ──read──▶ any process, also while the service is down
            ◀──look── wishes/      ◀──want── who found nothing, or something stale

Limits first. One process writes, the service. At most CONTEXTS_MAX contexts are kept; those made longest ago go first.
Readers open the file read-only and wait for nobody; what is missing, damaged or not ours is nothing to them. A file that
is lost while processes have it open is another one afterwards: each read looks at the path, which costs a microsecond.

A row's `built_at` stands beside its body: when nothing changed in what is told, it alone is written.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.context.model import FRESH_SECONDS, Context, ContextKey, Statement
from cdesk.context.names import Names
from cdesk.context.wishes import Wishes, key_of, key_text
from cdesk.errors import ContextError

CONTEXTS_MAX = 20_000
READ_WAIT_SECONDS = 0.02
WRITE_WAIT_SECONDS = 2.0
APPLICATION_ID = 0x63644378
FORMAT = 1
HELD_MAX = 64
"""What a reader holds of what it read: decoding a body takes three times as long as finding it."""
AT_ONCE_MAX = 500
"""Names in one statement."""
_LOST = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR})
"""What a file that is damaged or not ours answers with, by SQLite's primary codes."""

_SCHEMA = f"""
CREATE TABLE context (
    key TEXT PRIMARY KEY, customer TEXT NOT NULL, built_at REAL NOT NULL, data_as_of REAL, version TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX context_customer ON context (customer);
CREATE INDEX context_built_at ON context (built_at);
CREATE TABLE made (under TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
_READ = """
SELECT CASE WHEN version = ? THEN NULL ELSE body END, built_at, data_as_of, version FROM context WHERE key = ?"""
"""The body is fetched when the reader does not hold that version of it."""

_PLACES = """
SELECT min(key), max(data_as_of) AS latest FROM context WHERE customer = ?
GROUP BY json_extract(key, '$[1]') HAVING latest IS NOT NULL ORDER BY latest DESC, min(key) LIMIT ?"""

_NONE_HELD: tuple[str, tuple[Statement, ...]] = ("", ())

_body = msgspec.msgpack.Encoder()
_statements = msgspec.msgpack.Decoder(tuple[Statement, ...])


@dataclass(frozen=True, slots=True)
class Kept:
    """contexts: how many are kept · oldest: when the one made longest ago was made, Unix seconds"""

    contexts: int
    oldest: float | None


class Place(msgspec.Struct, frozen=True):
    """A project of which something is known; None: all of them together. data_as_of: when its newest is from, Unix seconds"""

    project_path: str | None
    data_as_of: float


class ContextReader:
    """Reads contexts in any process, from any of its threads. Never raises, never waits for the service."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._wishes = Wishes(self._path.parent / "wishes")
        self._names = Names(self._path.parent)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._held: dict[ContextKey, tuple[str, tuple[Statement, ...]]] = {}

    def named(self, key: ContextKey) -> ContextKey:
        """The key it is kept under: whose facts are shown as another's has the other's contexts."""
        shown = self._names.shown(key.customer)
        return key if shown == key.customer else ContextKey(shown, key.project_path, key.kind)

    def read(self, key: ContextKey) -> Context | None:
        """As it was last made, however old; None when there is none that can be read."""
        with self._lock:
            key = self.named(key)
            try:
                version, told = self._held.get(key, _NONE_HELD)
                row = self._current().execute(_READ, (version, key_text(key).decode())).fetchone()
                if row is None:
                    return None
                if row[3] != version:
                    told = self._hold(key, row[3], _statements.decode(row[0]))
                return Context(key, told, *row[1:])
            except _UNREADABLE:
                self._drop()
                return None

    def _hold(self, key: ContextKey, version: str, told: tuple[Statement, ...]) -> tuple[Statement, ...]:
        if len(self._held) >= HELD_MAX:
            self._held.clear()
        self._held[key] = (version, told)
        return told

    def want(self, key: ContextKey) -> bool:
        """Asks for it to be made anew. True for the one call that asked, until it is made."""
        return self._wishes.ask(self.named(key))

    def kept(self) -> Kept | None:
        """None when there is no cache that can be read."""
        with self._lock:
            try:
                return Kept(*self._current().execute("SELECT count(*), min(built_at) FROM context").fetchone())
            except _UNREADABLE:
                self._drop()
                return None

    def places(self, customer: str, places_max: int) -> list[Place]:
        """Of one customer's contexts, those with the newest data first; none when there is no cache that can be read."""
        with self._lock:
            try:
                shown = self._names.shown(customer)
                found = self._current().execute(_PLACES, (shown, places_max)).fetchall()
                return [Place(key_of(key.encode()).project_path, data_as_of) for key, data_as_of in found]
            except _UNREADABLE:
                self._drop()
                return []

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _current(self) -> sqlite3.Connection:
        file = _file(self._path)
        if self._connection is None or file != self._file:
            self._drop()
            self._connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro", uri=True, timeout=READ_WAIT_SECONDS, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            self._file = file
            if not _is_ours(self._connection):
                raise NotOurs("not a context cache")
        return self._connection

    def _drop(self) -> None:
        connection, self._connection, self._file = self._connection, None, None
        self._held.clear()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


_UNREADABLE = (sqlite3.Error, sqlite3.Warning, msgspec.MsgspecError, OSError, ValueError, TypeError)


class NotOurs(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_NOTADB


class ContextCache:
    """The writing face, of one process at a time. Every method raises ContextError when the file cannot be written.

    A file that is damaged, not ours, or made under another consent is replaced by an empty one; `take_note` tells.
    under: names the consent; None for who only adds to what is there"""

    def __init__(
        self, path: Path, *, clock: Clock = SYSTEM_CLOCK, contexts_max: int = CONTEXTS_MAX, under: str | None = None
    ) -> None:
        self._path = path.absolute()
        self._under = under
        self._clock = clock
        self._contexts_max = contexts_max
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._is_new = False
        self.wishes = Wishes(self._path.parent / "wishes")

    def take_note(self) -> bool:
        """Whether it is empty because it was made anew, by the first start or after a loss; told once."""
        with self._writing():
            was_new, self._is_new = self._is_new, False
        return was_new

    def keep(self, contexts: Sequence[Context]) -> int:
        """All of them in one commit, which readers see at once. How many of them tell something else than before."""
        changed = 0
        with self._writing() as connection:
            for context in contexts:
                key = key_text(context.key).decode()
                times = (context.built_at, context.data_as_of, key, context.version)
                if connection.execute(_KEEP_TIMES, times).rowcount:
                    continue
                body = _body.encode(context.statements)
                row = (key, context.key.customer, context.built_at, context.data_as_of, context.version, body)
                connection.execute(_KEEP, row)
                changed += 1
            if changed:
                connection.execute(_EVICT, (self._contexts_max,))
        return changed

    def keys_of(self, customers: Iterable[str]) -> list[ContextKey]:
        """All that are kept for these customers."""
        names, found = list(customers), []
        with self._writing() as connection:
            for start in range(0, len(names), AT_ONCE_MAX):
                some = names[start : start + AT_ONCE_MAX]
                sql = f"SELECT key FROM context WHERE customer IN ({', '.join('?' * len(some))})"
                found += [key_of(row[0].encode()) for row in connection.execute(sql, some)]
        return found

    def built_at(self, key: ContextKey) -> float | None:
        with self._writing() as connection:
            row = connection.execute("SELECT built_at FROM context WHERE key = ?", (key_text(key).decode(),)).fetchone()
        return None if row is None else float(row[0])

    def mind_the_clock(self) -> None:
        """What was made in a future that the clock was set back from is stale: it would be fresh until then."""
        now = self._clock.now_ns() / 1e9
        with self._writing() as connection:
            connection.execute("UPDATE context SET built_at = ? WHERE built_at > ?", (now - FRESH_SECONDS - 1, now + 1))

    def close(self) -> None:
        with self._lock:
            self._drop()

    # -- the file --------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                connection = self._current()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
                self._drop()  # and with it what was not committed
                if _is_lost(error):
                    self._remove()
                raise ContextError(
                    f"cannot write {self._path}: {error}.", "See that there is disk space; it is made anew."
                ) from None
            except BaseException:
                self._drop()
                raise

    def _current(self) -> sqlite3.Connection:
        with suppress(OSError):
            if self._connection is not None and _file(self._path) == self._file:
                return self._connection
        self._drop()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            return self._open()
        except FileNotFoundError:
            return self._make()
        except sqlite3.Error as error:
            self._drop()
            if not _is_lost(error):
                raise
        self._remove()
        return self._make()

    def _open(self) -> sqlite3.Connection:
        """The file that is there, when it is ours and whole."""
        _file(self._path)
        connection = self._connect()
        if not _is_ours(connection) or connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise NotOurs("damaged, or not ours")
        if connection.execute("SELECT under FROM made").fetchone() != (self._under,) and self._under is not None:
            raise NotOurs("it may hold what is withheld now")
        return connection

    def _make(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connect()
        connection.executescript(_SCHEMA)
        connection.execute("INSERT INTO made (under) VALUES (?)", (self._under or "",))
        self._is_new = True
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=WRITE_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection, self._file = connection, _file(self._path)
        self._path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 8388608")
        return connection

    def _remove(self) -> None:
        """The file itself goes first: who opens it in between finds none, not one without its log."""
        for name in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + name).unlink(missing_ok=True)

    def _drop(self) -> None:
        connection, self._connection, self._file = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


_KEEP_TIMES = "UPDATE context SET built_at = ?, data_as_of = ? WHERE key = ? AND version = ?"
_KEEP = """
INSERT INTO context (key, customer, built_at, data_as_of, version, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET built_at = excluded.built_at, data_as_of = excluded.data_as_of,
    version = excluded.version, body = excluded.body"""
_EVICT = """
DELETE FROM context WHERE key IN (
    SELECT key FROM context ORDER BY built_at LIMIT max(0, (SELECT count(*) FROM context) - ?)
)"""


def _file(path: Path) -> tuple[int, int]:
    """Which file it is. Raises FileNotFoundError."""
    found = os.stat(path)  # noqa: PTH116
    return found.st_dev, found.st_ino


def _is_lost(error: Exception) -> bool:
    """Whether the file holds nothing that can be had; else trying again may help."""
    return isinstance(error, msgspec.MsgspecError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOST


def _is_ours(connection: sqlite3.Connection) -> bool:
    told = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
    return told == [(APPLICATION_ID,), (FORMAT,)]
