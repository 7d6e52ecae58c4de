"""Puts a new version beside the old one, proves that it holds the same, and then lets the two schemas change names.

    blue   CDESK.ACTIVITY          what everybody reads and writes
    green  CDESK.ACTIVITY_BESIDE   built by the same files, filled from blue, compared with blue
                     │  ALTER SCHEMA … SWAP WITH …
    green  CDESK.ACTIVITY
    blue   CDESK.ACTIVITY_BESIDE   kept: `rollback` lets them change names again, `drop` ends it

Readers never wait. Writers wait from the fence to the swap, as their queues hold everything:

    1 build     all files, in the schema beside, with tasks and alerts asleep
    2 fill      rows by rows, while blue is still written
    3 fence     the loader's grants on blue's tables are revoked, blue's tasks and alerts go to sleep
    4 drain     blue's tasks run once more each until no stream has changes left
    5 catch up  what has changed since 2
    6 streams   of the schema beside are made anew: they begin here, as blue's ended here
    7 compare   the content of every table, in one statement for both schemas, and every view can be read
    8 swap
    9 wake      grants, tasks and alerts of what is now in front; then late rows are merged

No offset of a stream is carried over, because none is left to carry: that is what the drain is for (a cloned stream would have
lost what its original had not consumed). A transaction that had begun before the fence may commit to blue after step 5. Its
rows are late: they differ from those in front, and are merged into them as observations, by the rules of every batch.

Every act may be cut short anywhere and called again. Where it stands is in the schemas' own ACTIVITY_SCHEMA_VERSION, under
FORTH and BACK, and so changes places with them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import SnowflakeSettings
from cdesk.errors import CdeskError
from cdesk.warehouse import deploy
from cdesk.warehouse.deploy import Finding, Record, Step, Undone
from cdesk.warehouse.snowflake import rows
from cdesk.warehouse.snowflake.deploy import MISSING, QUERY_ID, WOKEN, DeployFailed, Deployment, Extra, bound, named
from cdesk.warehouse.snowflake.merge import Merger
from cdesk.warehouse.snowflake.sessions import Session
from cdesk.warehouse.snowflake.trouble import connector_errors, number
from cdesk.warehouse.warehouse import STREAM

FORTH, BACK = "blue-green", "green-blue"
"""Names on record of a swap, and of the one that takes it back."""
DRAIN_SECONDS_MAX = 600.0
_POLL_SECONDS = 2.0
_LOG = "ACTIVITY_SCHEMA_VERSION"
_KEY = {STREAM: "activity_id"}
"""Tables that are too large to be written anew when a row has changed, and the column that names a row."""
_STREAM_OF = re.compile(
    r"CREATE\s+STREAM\s+IF\s+NOT\s+EXISTS\s+(\w+)\s+ON\s+TABLE\s+(\w+)(.*?APPEND_ONLY\s*=\s*TRUE)?",
    re.IGNORECASE | re.DOTALL,
)
_TASK_OF = re.compile(r"CREATE\s+OR\s+REPLACE\s+TASK\s+(\w+)\b(.*?)\bAS\b", re.IGNORECASE | re.DOTALL)
_WRITERS = re.compile(r"GRANT\s[^;]*\bINSERT\b[^;]*\bON\s+TABLE\s[^;]*\bTO\s+ROLE\s+CDESK_LOADER\s*$", re.IGNORECASE)
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Parts:
    """Of a deployed schema, as its record tells it.

    tables: without the record itself · streams: name and what follows ON TABLE · tasks: name and its streams
    writers: GRANTs to loaders · woken: ALTER TASK and ALTER ALERT … RESUME"""

    tables: tuple[str, ...]
    streams: tuple[tuple[str, str], ...]
    tasks: tuple[tuple[str, tuple[str, ...]], ...]
    writers: tuple[str, ...]
    woken: tuple[str, ...]


class BlueGreen:
    """Of one account's database, in a session of its own. Raises DeployFailed, WarehouseUnready, and ConfigError.

    wait: takes seconds · drain_seconds_max: how long tasks may take to come to their end"""

    def __init__(
        self,
        session: Session,
        settings: SnowflakeSettings,
        extra: Sequence[Extra] = (),
        *,
        clock: Clock = SYSTEM_CLOCK,
        wait: Callable[[float], None] = time.sleep,
        drain_seconds_max: float = DRAIN_SECONDS_MAX,
    ) -> None:
        self._session = session
        self._settings = settings
        self._extra = extra
        self._clock = clock
        self._wait = wait
        self._drain_seconds_max = drain_seconds_max
        self.live = Deployment(session, settings, extra, clock=clock)
        self.beside = f"{settings.schema}_BESIDE"
        self._known_names: dict[tuple[str, str], list[str]] = {}

    def plan(self) -> list[Step]:
        return self.live.plan()

    def apply(self, git_sha: str | None = None) -> list[Step]:
        """In place, after what an earlier swap left to do: its end, or that loaders wait at its fence."""
        if not self._finish() and self._enter() and not self.is_kept and self._exists(self.beside):
            self._wake(self._parts(self._settings.schema))
        return self.live.apply(git_sha)

    def apply_beside(self, git_sha: str | None = None) -> list[Step]:
        """Takes the steps of `plan` in the schema beside and swaps; [] when there were none to take, or when only the end of
        an earlier swap was left to do. Where nothing is yet, there is nothing to stand beside: it is deployed as ever."""
        if self._finish():
            return []
        if not self._enter():
            return self.live.apply(git_sha)
        steps = self.live.plan()
        if not steps:
            return []
        if self.is_kept:
            raise DeployFailed(
                f"{self.beside} still holds what was in front before.",
                "`cdesk deploy rollback` goes back to it, `cdesk deploy drop` gives it up.",
            )
        self._see_that_all_is_seen()
        self._build(git_sha)
        self._move(FORTH, git_sha)
        self._finish()
        return steps

    def rollback(self) -> list[Undone]:
        """Undoes the newest deployment that stands: a swap by another one, with everything that was loaded since. Tables that
        blue does not have stay where they are, beside."""
        if self._finish() == BACK:
            return [Undone(FORTH, ())]
        if not (self._enter() and self.is_kept and self._newest_is_swap()):
            return self.live.rollback()
        self._see_that_all_is_seen()
        self._move(BACK, None)
        self._finish()
        return [Undone(FORTH, ())]

    def drop(self) -> bool:
        """Gives up what is beside: what is kept, after what came late to it is merged and its record copied, or what was never
        finished. False when nothing is there."""
        self._finish()
        if self._enter() and self.is_kept:
            self._merge_late()
            self._run("history", self._text("history"))
        elif self._exists(self.beside):
            self._wake(self._parts(self._settings.schema))
        else:
            return False
        self._run("drop", f"DROP SCHEMA IF EXISTS {self._in(self.beside)}")
        self._settle()
        return True

    @property
    def is_kept(self) -> bool:
        """Whether a swap is done and the other schema still there."""
        if not self._exists(self.beside):
            self._settle()
            return False
        return self._mark(self._settings.schema)[1] == "completed"

    def files(self) -> list[tuple[str, str]]:
        return self.live.files()

    def verify(self) -> list[Finding]:
        """Also that no swap is left half done."""
        status = self._mark(self._settings.schema)[1]
        left = [Finding(self.beside, "was swapped and not finished: deploy again")] if status == "swapped" else []
        return [*left, *self.live.verify()]

    # -- acts ------------------------------------------------------------------------------------------------------

    def _build(self, git_sha: str | None) -> None:
        self._run("build", f"CREATE SCHEMA IF NOT EXISTS {self._in(self.beside)} WITH MANAGED ACCESS")
        with self._using(self.beside):
            self._green().apply(git_sha)

    def _move(self, name: str, git_sha: str | None) -> None:
        """From in front to beside, and then beside to the front."""
        self._known_names.clear()
        front, aside = self._parts(self._settings.schema), self._parts(self.beside)
        tables = [table for table in front.tables if table in aside.tables]
        for table in tables:
            self._carry(table)
        try:
            self._fence(front)
            self._drain(front)
            contents = {table: self._carried(table) for table in tables}
            self._number_on()
            self._begin_streams(aside)
            found = [Finding(table, "holds something else") for table, (one, other) in contents.items() if one != other]
            found += self._lacking(front, aside, tables) if name == FORTH else []
            if found:
                raise DeployFailed(
                    f"{self.beside} does not hold what it should: "
                    + "; ".join(f"{one.name} {one.said}" for one in found),
                    "Nothing has been swapped. Deploy again when it is mended: it goes on here.",
                )
            self._note(name, git_sha, list(contents.values()))
            self._run("swap", f"ALTER SCHEMA {self._in(self._settings.schema)} SWAP WITH {self._in(self.beside)}")
        except BaseException:
            with suppress(CdeskError, connector_errors().Error):
                self._wake(front)
            raise

    def _finish(self) -> str | None:
        """What is left to do after a swap; the name of the swap that was finished now."""
        name, status = self._mark(self._settings.schema)
        if status != "swapped":
            return None
        self._enter()
        self._wake(self._parts(self._settings.schema))
        self._merge_late()
        if name == BACK:
            self._log(self.beside, bound("undo_named"), (FORTH,))
        back = f"ALTER SCHEMA {self._in(self._settings.schema)} SWAP WITH {self._in(self.beside)}"
        self._run(
            "finish",
            f"UPDATE {self._in(self._settings.schema)}.{_LOG} SET status = 'completed', rollback_sql ="
            f" {'NULL' if name == BACK else repr(back)} WHERE migration_name = '{name}' AND status = 'swapped'",
        )
        return name

    def _fence(self, front: Parts) -> None:
        for grant in front.writers:
            self._run("fence", deploy.turned_back(grant) or "")
        for woken in front.woken:
            kind, name = _kind_and_name(woken)
            self._run("fence", f"ALTER {kind} IF EXISTS {self._in(self._settings.schema)}.{name} SUSPEND")

    def _wake(self, front: Parts) -> None:
        for grant in front.writers:
            self._run("wake", grant)
        for woken in front.woken:
            kind, name = _kind_and_name(woken)
            self._run("wake", f"ALTER {kind} IF EXISTS {self._in(self._settings.schema)}.{name} RESUME")

    def _drain(self, front: Parts) -> None:
        """Until no stream has changes. EXECUTE TASK comes back before the task has run, and one task's rows are another's
        changes."""
        waited = 0.0
        while behind := self._behind(front):
            if waited >= self._drain_seconds_max:
                raise DeployFailed(
                    f"tasks do not come to their end: {', '.join(sorted(behind))}.",
                    "See TASK_HISTORY(); mend the task, or deploy without --blue-green.",
                )
            for task in behind:
                self._run("drain", f"EXECUTE TASK {self._in(self._settings.schema)}.{task}")
            self._wait(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _behind(self, front: Parts) -> list[str]:
        """Tasks that a stream of theirs has changes for, in the order of their streams' names."""
        schema = self._in(self._settings.schema)
        asked = ", ".join(f"SYSTEM$STREAM_HAS_DATA('{schema}.{name}') AS {name}" for name, _ in front.streams)
        if not asked:
            return []
        [said] = self._run("drain", f"SELECT {asked}")
        has = {
            name for (name, _), answer in zip(front.streams, said, strict=True) if str(answer).lower() in ("true", "1")
        }
        return [task for task, streams in front.tasks if has & set(streams)]

    # -- rows ------------------------------------------------------------------------------------------------------

    def _carry(self, table: str) -> tuple[str, str] | None:
        """What is beside is what is in front afterwards, in the columns that both have. Gives the checksums when that was so
        already."""
        one, other = self._contents(table)
        if one == other:
            return one, other
        with self._session.transaction(QUERY_ID):
            for statement in self._carrying(table, self._columns(table)):
                self._run(f"carry {table}", statement)
        return None

    def _carried(self, table: str) -> tuple[str, str]:
        """The checksums after it was carried."""
        return self._carry(table) or self._contents(table)

    def _carrying(self, table: str, columns: Sequence[str]) -> Iterator[str]:
        source, target = f"{self._in(self._settings.schema)}.{table}", f"{self._in(self.beside)}.{table}"
        names = ", ".join(columns)
        key = _KEY.get(table)
        if key is None:
            yield f"DELETE FROM {target}"
            yield f"INSERT INTO {target} ({names}) SELECT {names} FROM {source}"
            return
        ours, theirs = (", ".join(f"{one}.{column}" for column in columns) for one in ("t", "s"))
        sets = ", ".join(f"{column} = s.{column}" for column in columns if column.lower() != key)
        yield f"DELETE FROM {target} WHERE {key} NOT IN (SELECT {key} FROM {source})"
        yield (
            f"MERGE INTO {target} AS t USING {source} AS s ON t.{key} = s.{key}"
            f" WHEN MATCHED AND HASH({ours}) <> HASH({theirs}) THEN UPDATE SET {sets}"
            f" WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({theirs})"
        )

    def _lacking(self, front: Parts, aside: Parts, tables: Sequence[str]) -> list[Finding]:
        """Rows and columns that have no place beside, and what cannot be read there."""
        found = [
            Finding(table, "has no place there")
            for table in front.tables
            if table not in aside.tables and self._has(table)
        ]
        for table in tables:
            there = self._names(self.beside, table)
            lost = [name for name in self._names(self._settings.schema, table) if name not in there]
            found += [Finding(table, f"lacks {name}") for name in lost if self._has(table, f"WHERE {name} IS NOT NULL")]
        with self._using(self.beside):
            return [*found, *self._green().verify()]

    def _has(self, table: str, where: str = "") -> bool:
        return bool(self._run("compare", f"SELECT 1 FROM {self._in(self._settings.schema)}.{table} {where} LIMIT 1"))

    def _contents(self, table: str) -> tuple[str, str]:
        """Checksums of the table in front and of the one beside, at one moment of both; rows in any order."""
        columns = ", ".join(self._columns(table))
        asked = (
            f"(SELECT COUNT(*)::VARCHAR || ':' || COALESCE(HASH_AGG({columns})::VARCHAR, '') FROM {self._in(schema)}.{table})"
            for schema in (self._settings.schema, self.beside)
        )
        [(one, other)] = self._run(f"compare {table}", f"SELECT {', '.join(asked)}")
        return str(one), str(other)

    def _merge_late(self) -> None:
        """Rows beside that those in front do not say already, told to the stream as any batch is."""
        merger = Merger(self._clock, self._new_query_id)
        text, after = self._text("late").replace(":1", "?"), ""
        while found := self._session.execute(text, [after], query_id=QUERY_ID).rows:
            stored = [rows.stored(row)[0] for row in found]
            merger.merge(self._session, [one for row in stored for one in row.seen.values()])
            after = str(found[-1][0])

    def _number_on(self) -> None:
        """Commits beside get numbers that those in front never had, so that no state of a row is taken for another."""
        [(last,)] = self._run("number", f"SELECT {self._in(self._settings.schema)}.COMMIT_NUMBER.NEXTVAL")
        sequence = f"{self._in(self.beside)}.COMMIT_NUMBER"
        self._run(
            "number", f"CREATE OR REPLACE SEQUENCE {sequence} START = {int(last) + 1_000_000} INCREMENT = 1 ORDER"
        )
        self._run("number", f"GRANT USAGE ON SEQUENCE {sequence} TO ROLE CDESK_LOADER")

    def _begin_streams(self, aside: Parts) -> None:
        for name, table in aside.streams:
            self._run(
                "streams",
                f"CREATE OR REPLACE STREAM {self._in(self.beside)}.{name} ON TABLE {self._in(self.beside)}.{table}",
            )

    # -- the record ------------------------------------------------------------------------------------------------

    def _mark(self, schema: str) -> tuple[str, str]:
        """Name and status of the newest swap on the schema's record; empty when there is none."""
        found = self._log(
            schema, f"SELECT migration_name, status FROM {_LOG} WHERE migration_name IN ('{FORTH}', '{BACK}')"
            " AND status IN ('swapped', 'completed', 'settled') ORDER BY version_id DESC LIMIT 1",
        )  # fmt: skip
        return (str(found[0][0]), str(found[0][1])) if found else ("", "")

    def _note(self, name: str, git_sha: str | None, contents: Sequence[tuple[str, str]]) -> None:
        """Beside, where it says nothing before the schemas have changed names. Checksums: of the content of all tables."""
        before, after = (sha256("\n".join(each).encode()).hexdigest() for each in zip(*contents, strict=True))
        step = Step(name, "new", before, after, "")
        self._log(self.beside, f"DELETE FROM {_LOG} WHERE migration_name = '{name}' AND status = 'swapped'")
        at = self._clock.now().replace(tzinfo=None)
        self._log(self.beside, bound("record_step"), Record(step, at, git_sha, None, "swapped").values)

    def _settle(self) -> None:
        if self._mark(self._settings.schema)[1] == "completed":
            self._log(
                self._settings.schema, f"UPDATE {_LOG} SET status = 'settled', rollback_sql = NULL"
                f" WHERE migration_name IN ('{FORTH}', '{BACK}') AND status = 'completed'",
            )  # fmt: skip

    def _newest_is_swap(self) -> bool:
        found = self._log(self._settings.schema, bound("newest_deployment"))
        return bool(found) and str(found[0][1]) == FORTH

    def _parts(self, schema: str) -> Parts:
        texts = dict(self._log(schema, bound("recorded_texts")))
        there = [named(text, self._settings) for _, text in sorted(texts.items()) if text]
        found = [statement for text in there for statement in deploy.statements(text)]
        tables = set(deploy.tables(found)) - {_LOG}
        streams = [one for statement in found if (one := _STREAM_OF.match(statement))]
        tasks = [one for statement in found if (one := _TASK_OF.match(statement))]
        names = [stream[1] for stream in streams]
        return Parts(
            tuple(sorted(tables)),
            tuple((one[1], one[2] + (" APPEND_ONLY = TRUE" if one[3] else "")) for one in streams),
            tuple((one[1], tuple(name for name in names if f"'{name}'" in one[2])) for one in tasks),
            tuple(statement for statement in found if _WRITERS.match(statement)),
            tuple(statement for statement in found if WOKEN.match(statement)),
        )

    def _enter(self) -> bool:
        """Into the schema in front, as an act that was cut short may have left the session beside; False where none is yet."""
        is_there = self._exists(self._settings.schema)
        if is_there:
            self._run("enter", f"USE SCHEMA {self._in(self._settings.schema)}")
        return is_there

    def _exists(self, schema: str) -> bool:
        """Whether anything was ever recorded there."""
        try:
            self._session.execute(f"SELECT 1 FROM {self._in(schema)}.{_LOG} LIMIT 1", query_id=QUERY_ID)
        except connector_errors().ProgrammingError as error:
            if number(error) not in MISSING:
                raise
            return False
        return True

    def _log(self, schema: str, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            said = re.sub(rf"\b{_LOG}\b", f"{self._in(schema)}.{_LOG}", text)
            return self._session.execute(said, values, query_id=QUERY_ID).rows
        except connector_errors().ProgrammingError as error:
            if number(error) not in MISSING:
                raise
            return []

    # -- statements ------------------------------------------------------------------------------------------------

    def _green(self) -> Deployment:
        known = self._log(self._settings.schema, bound("recorded_steps"))
        return Deployment(
            self._session, self._settings, self._extra, clock=self._clock, into=self.beside, settled=dict(known)
        )

    @contextmanager
    def _using(self, schema: str) -> Iterator[None]:
        self._run("build", f"USE SCHEMA {self._in(schema)}")
        try:
            yield
        finally:
            if not self._session.is_lost:
                self._run("build", f"USE SCHEMA {self._in(self._settings.schema)}")

    def _see_that_all_is_seen(self) -> None:
        """A role that policies hide rows or names from would carry what it sees, and compare it with itself."""
        [(answer,)] = self._run("look", "SELECT IS_ROLE_IN_SESSION('CDESK_OWNER')")
        if str(answer).lower() not in ("true", "1"):
            raise DeployFailed(
                "this role does not see every row as it is.", "Deploy as CDESK_OWNER or a role above it."
            )

    def _columns(self, table: str) -> list[str]:
        there = self._names(self.beside, table)
        return [name for name in self._names(self._settings.schema, table) if name in there]

    def _names(self, schema: str, table: str) -> list[str]:
        """Of its columns, as they were when a move began."""
        if (schema, table) not in self._known_names:
            asked = f"SELECT * FROM {self._in(schema)}.{table} LIMIT 0"
            found = self._session.execute(asked, query_id=QUERY_ID).columns
            self._known_names[schema, table] = [name.upper() for name in found]
        return self._known_names[schema, table]

    def _in(self, schema: str) -> str:
        return f"{self._settings.database}.{schema}"

    def _text(self, name: str) -> str:
        text = (_HERE / f"{name}.sql").read_text("utf-8").replace("CDESK.BESIDE", self._in(self.beside))
        return named(text, self._settings)

    def _run(self, act: str, statement: str) -> list[tuple[Any, ...]]:
        return self.live.run(act, 1, statement)

    def _new_query_id(self) -> str:
        return f"late_{self._clock.now_ns():x}"


def _kind_and_name(woken: str) -> tuple[str, str]:
    found = WOKEN.match(woken)
    assert found is not None
    return found[1].upper(), found[2]
