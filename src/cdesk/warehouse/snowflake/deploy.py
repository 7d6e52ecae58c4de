"""Puts cdesk into a Snowflake account, step by step, each on record in ACTIVITY_SCHEMA_VERSION as on DuckDB.

    account/*.sql    database, warehouses, monitors, roles      ACCOUNTADMIN's, once
    schema/*.sql     tables and views, the same as on DuckDB
    platform/*.sql   what only Snowflake has: stage, policies, tags, retention, query log, cost, alerts, grants
    tasks            each refresh task as a stream and a triggered task

Of two files that do the same, the settings choose one (`ALTERNATIVES`); the other is undone if it was deployed.

Snowflake commits every DDL statement by itself, so a step is not one transaction here. Every statement may therefore run
again: it says IF NOT EXISTS or OR REPLACE, or is looked at before (`_is_done`). A deployment that failed at any statement is
on record as failed, and goes on with that step.

The files say CDESK and CDESK.ACTIVITY for the database and its schema; where the settings name others, so do the statements.
Everything may also be built in another schema, with tasks and alerts asleep, while what is on record still names the settings'
schema: `blue_green.py` puts it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import SnowflakeSettings
from cdesk.errors import WarehouseError
from cdesk.warehouse import deploy
from cdesk.warehouse.deploy import Finding, Record, Step, Undone
from cdesk.warehouse.snowflake.sessions import Session
from cdesk.warehouse.snowflake.trouble import connector_errors, first_line, number, remedy, unready

_HERE = Path(__file__).parent
QUERY_ID = "deploy"
MISSING = (2003, 2043, 90_105, 90_106)
ALTERNATIVES = {"task": "platform/40_retention.sql", "policy": "platform/45_lifecycle.sql"}
"""By the setting `retention`."""
_ATTACHED = re.compile(
    r"ALTER\s+(?P<domain>TABLE|TAG)\s+(?P<name>\w+)\s+"
    r"(?:ADD\s+ROW\s+ACCESS|ADD\s+STORAGE\s+LIFECYCLE|SET\s+MASKING)\s+POLICY\s+(?P<policy>\w+)",
    re.IGNORECASE,
)
"""What Snowflake does not let run twice."""
WOKEN = re.compile(r"ALTER\s+(TASK|ALERT)\s+(\w+)\s+RESUME\s*$", re.IGNORECASE)


class DeployFailed(WarehouseError):
    """A statement failed; what was deployed before it stays, and deploying again goes on there."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A step that is made rather than read: name and SQL."""

    name: str
    sql: str = field(repr=False)


class Deployment:
    """Of one account's database. Raises DeployFailed, or ConfigError for settings that cannot be used."""

    def __init__(
        self,
        session: Session,
        settings: SnowflakeSettings,
        extra: Sequence[Extra] = (),
        *,
        clock: Clock = SYSTEM_CLOCK,
        into: str | None = None,
        settled: Mapping[str, str] | None = None,
    ) -> None:
        """extra: steps behind all others, such as `task.steps` gives.
        into: the schema to build in, when it is not the settings'; it is there, and the session's current one.
        settled: checksums of steps of `account/` that need no second run for it"""
        self._session = session
        self._settings = settings
        self._extra = extra
        self._clock = clock
        self._schema = into or settings.schema
        self._is_aside = self._schema != settings.schema
        self._settled = settled or {}
        self._log_is_there = self._log_takes_texts = False

    def plan(self) -> list[Step]:
        """The steps that `apply` would take now, in order; [] when all is there. Changes nothing."""
        known = self._known()
        steps: list[Step] = []
        follows = False
        for name, text in self._files():
            is_schema = "/" not in name
            before, after = known.get(name), sha256(text.encode()).hexdigest()
            if before == after and not (is_schema and follows):
                continue
            follows = follows or is_schema
            reason: deploy.Reason = "new" if before is None else "changed" if before != after else "follows"
            steps.append(Step(name, reason, before, after, text))
        return [*self._replaced(known), *steps]

    def apply(self, git_sha: str | None = None) -> list[Step]:
        """Takes the steps of `plan` and gives them back. A second time there are none."""
        steps = self.plan()
        if not steps:
            return []
        at = self._clock.now().replace(tzinfo=None)
        before = self._texts()
        waiting: list[Record] = []  # until there is a table to record them in
        for step in steps:
            if step.reason == "replaced":
                self._take_back(step)
                continue
            back = None if self._is_aside else deploy.undoing(before.get(step.name), step.sql)
            record = Record(step, at, git_sha, back)
            try:
                self._run(step)
            except DeployFailed:
                self._note([*waiting, Record(step, at, git_sha, "", "failed")])
                raise
            waiting = self._note([*waiting, record])
        return steps

    def verify(self) -> list[Finding]:
        """What is not as the files say: steps that have to run, tables and views that are missing or cannot be read."""
        found = [Finding(step.name, f"has to run: {step.reason}") for step in self.plan()]
        for name, text in self._files():
            if "/" not in name:
                for table, columns in deploy.declared(text):
                    found += deploy.unreadable(table, columns, self._columns)
        return found

    def rollback(self) -> list[Undone]:
        """Undoes the newest deployment that stands, last step first. Database, schema, warehouses, monitors and roles stay:
        they may be somebody else's, too."""
        if not self._has_log():
            return []
        undone: list[Undone] = []
        for version, name, back in self._execute(bound("newest_deployment")):
            kept = tuple(table for table in deploy.dropped_tables(back) if self._rows_of(table))
            for place, statement in enumerate(deploy.statements(deploy.without(back, kept)), 1):
                self._undo(f"{name}, rolling back", place, statement)
            self._execute(bound("undo_step"), (version,))
            undone.append(Undone(name, kept))
        return undone

    # -- files -----------------------------------------------------------------------------------------------------

    @property
    def _others(self) -> list[str]:
        """Files that are not chosen."""
        return [name for choice, name in ALTERNATIVES.items() if choice != self._settings.retention]

    def _replaced(self, known: dict[str, str]) -> list[Step]:
        texts = self._texts() if any(name in known for name in self._others) else {}
        return [
            Step(name, "replaced", known[name], None, texts.get(name, "")) for name in self._others if name in known
        ]

    def files(self) -> list[tuple[str, str]]:
        """Name and text of every step, in order, whether it has to run or not."""
        return list(self._files())

    def _files(self) -> Iterator[tuple[str, str]]:
        for folder in ("account", None, "platform"):
            where = deploy.SCHEMA_FOLDER if folder is None else _HERE / folder
            for path in sorted(where.glob("[0-9]*.sql")):
                name = path.name if folder is None else f"{folder}/{path.name}"
                if name in self._others:
                    continue
                yield name, named(path.read_text("utf-8"), self._settings)
        for one in self._extra:
            yield one.name, named(one.sql, self._settings)

    # -- running ---------------------------------------------------------------------------------------------------

    def _run(self, step: Step) -> None:
        if step.name.startswith("account/") and self._settled.get(step.name) == step.checksum_after:
            return
        for place, statement in enumerate(deploy.statements(step.sql), 1):
            if not self._is_done(statement) and not (self._is_aside and WOKEN.match(statement)):
                self.run(step.name, place, statement)

    def _take_back(self, step: Step) -> None:
        for place, statement in enumerate(deploy.statements(deploy.undoing(None, step.sql)), 1):
            self._undo(f"{step.name}, taken back", place, statement)
        self._execute(bound("undo_named"), (step.name,))

    def run(self, step: str, place: int, statement: str) -> list[tuple[Any, ...]]:
        """Rows of one statement, which names the settings' schema also when it means the one to build in. Raises DeployFailed,
        and WarehouseUnready when the session is lost."""
        errors = connector_errors()
        try:
            return self._execute(self._here(statement))
        except errors.Error as error:
            if self._session.is_lost:
                raise unready(error) from error
            raise DeployFailed(
                f"{step}, statement {place}: {first_line(error).rstrip('.')}.",
                f"{remedy(error)} Deploy again when it is mended: it goes on here.".strip(),
            ) from error

    def _undo(self, step: str, place: int, statement: str) -> None:
        """What is not there any more has been undone before."""
        try:
            self.run(step, place, statement)
        except DeployFailed as failed:
            if number(failed.__cause__) not in MISSING:
                raise

    def _is_done(self, statement: str) -> bool:
        """Of what Snowflake does not let run twice."""
        found = _ATTACHED.match(statement)
        if found is None:
            return False
        attached = self._execute(
            f"SELECT policy_name FROM TABLE({self._settings.database}.INFORMATION_SCHEMA.POLICY_REFERENCES("
            f"REF_ENTITY_NAME => '{self._settings.database}.{self._schema}.{found['name']}',"
            f" REF_ENTITY_DOMAIN => '{found['domain'].upper()}'))"
        )
        return found["policy"].upper() in (str(name).upper() for (name,) in attached)

    def _here(self, statement: str) -> str:
        if not self._is_aside:
            return statement
        database, schema = self._settings.database, self._settings.schema
        return re.sub(rf"\b{database}\.{schema}\b", f"{database}.{self._schema}", statement)

    # -- the record ------------------------------------------------------------------------------------------------

    def _note(self, records: list[Record]) -> list[Record]:
        """Those that could not be recorded yet."""
        if not self._has_log():
            return records
        self._make_log_take_texts()
        for record in records:
            self._execute(bound("record_step"), record.values)
        return []

    def _known(self) -> dict[str, str]:
        return dict(self._execute(bound("recorded_steps"))) if self._has_log() else {}

    def _texts(self) -> dict[str, str]:
        if not self._has_log():
            return {}
        self._make_log_take_texts()
        return {name: text for name, text in self._execute(bound("recorded_texts")) if text}

    def _has_log(self) -> bool:
        """False also where there is no database yet."""
        errors = connector_errors()
        if not self._log_is_there:
            try:
                self._log_is_there = bool(self._execute(bound("has_version_table")))
            except errors.ProgrammingError as error:
                if number(error) not in MISSING:
                    raise
        return self._log_is_there

    def _make_log_take_texts(self) -> None:
        if not self._log_takes_texts:
            self._execute(bound("version_text"))
            self._log_takes_texts = True

    def _rows_of(self, table: str) -> bool:
        try:
            return bool(self._execute(f"SELECT 1 FROM {table} LIMIT 1"))
        except connector_errors().ProgrammingError:
            return False

    def _columns(self, query: str) -> Sequence[str]:
        return self._session.execute(query, query_id=QUERY_ID).columns

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._session.execute(statement, values, query_id=QUERY_ID).rows


def named(text: str, settings: SnowflakeSettings) -> str:
    """The text with the settings' database and schema where it says CDESK and CDESK.ACTIVITY."""
    text = re.sub(r"\bCDESK\.ACTIVITY\b", f"{settings.database}.{settings.schema}", text)
    return re.sub(r"\bCDESK\b", settings.database, text)


def bound(name: str) -> str:
    """Numbered values stand in their order in the texts of `schema/`."""
    return re.sub(r"(?<![\w:]):\d+\b", "?", deploy.sql(name))
