"""Merges a batch of observations into Snowflake's stream, each fact once, by way of a staged file.

    batch ──▶ which rows have its names? ──▶ join in memory (`facts.py`) ──▶ lines of what changed
                                                                             │ PUT
             CLAUDE_STREAM_V2 ◀──MERGE── CLAUDE_LANDING ◀──COPY── @CLAUDE_STAGE/<batch>/

COPY, MERGE and clearing the landing table are one transaction: a batch is there wholly or not at all, and told again it
finds its rows and changes nothing. So it does not matter where it was cut short, and a file that stays behind is in
nobody's way: each batch has a folder of its own in the stage.

Others may write the same rows meanwhile. Each line says which state of its row it was made from (`was_seq`); a row that has
moved on is not touched, fewer rows are counted than were sent, and the batch is taken back and made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import msgspec

from cdesk.activity.model import Activity, RawActivity
from cdesk.activity.resolution import IdentityOperation, Rules
from cdesk.clock import Clock
from cdesk.errors import WarehouseUnready
from cdesk.warehouse.facts import Changed, Stored, joined, whole
from cdesk.warehouse.snowflake import rows
from cdesk.warehouse.snowflake.identity import operations
from cdesk.warehouse.snowflake.sessions import Session
from cdesk.warehouse.snowflake.trouble import connector_errors
from cdesk.warehouse.warehouse import Merged

_HERE = Path(__file__).parent
_NEXT = "SELECT COMMIT_NUMBER.NEXTVAL"
_PUT = "PUT file://{batch}.json @CLAUDE_STAGE/{batch}/ AUTO_COMPRESS = TRUE OVERWRITE = TRUE"
_COPY = "COPY INTO CLAUDE_LANDING FROM @CLAUDE_STAGE/{batch}/ FILE_FORMAT = (TYPE = 'JSON') ON_ERROR = ABORT_STATEMENT"
_CLEAR = "DELETE FROM CLAUDE_LANDING WHERE line:batch::VARCHAR = ?"
_REMOVE = "REMOVE @CLAUDE_STAGE/{batch}/"


class Merger:
    """new_query_id: names one batch, in query tags, in the stage and in the landing table."""

    def __init__(self, clock: Clock, new_query_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_query_id = new_query_id
        self._known = sql("known")
        self._merge = sql("merge")
        self._absorb = sql("absorbed")

    def merge(self, session: Session, activities: Sequence[Activity | RawActivity]) -> Merged:
        """Raises the connector's own errors, and WarehouseUnready when another writer was faster."""
        if not activities:
            return Merged()
        batch = self._new_query_id()
        told = [whole(activity) for activity in activities]
        stored, was_seq = self._stored(session, batch, told)
        changed, absorbed, merged = joined(told, stored)
        if changed or absorbed:
            said = operations(session, batch)
            self._write(session, batch, changed, absorbed, was_seq, said)
        return merged

    def _stored(self, session: Session, batch: str, told: list[Activity]) -> tuple[dict[str, Stored], dict[str, int]]:
        names = sorted({name for activity in told for name in activity.names})
        found = session.execute(self._known, [_array(names)], query_id=batch)
        known = [rows.stored(row) for row in found.rows]
        return {one.row.activity_id: one for one, _ in known}, {one.row.activity_id: seq for one, seq in known}

    def _write(
        self, session: Session, batch: str, changed: list[Changed], absorbed: list[str], was_seq: dict[str, int],
        said: list[IdentityOperation],
    ) -> None:  # fmt: skip
        seq = int(session.execute(_NEXT, query_id=batch).rows[0][0])
        rules = Rules(operation for operation in said if operation.stands)
        lines = rows.lines(changed, batch, seq, was_seq, self._clock.now(), rules)
        session.execute(_PUT.format(batch=batch), query_id=batch, file=BytesIO(lines))
        try:
            self._load(session, batch, len(changed), absorbed, said)
        finally:
            if not session.is_lost:
                with suppress(connector_errors().Error):  # a file that stays is in nobody's way
                    session.execute(_REMOVE.format(batch=batch), query_id=batch)

    def _load(
        self, session: Session, batch: str, rows_sent: int, absorbed: list[str], said: list[IdentityOperation]
    ) -> None:
        with session.transaction(batch):
            if absorbed:
                session.execute(self._absorb, [_array(absorbed)], query_id=batch)
            session.execute(_COPY.format(batch=batch), query_id=batch)
            written = session.execute(self._merge, [batch], query_id=batch).count
            if written != rows_sent:
                raise WarehouseUnready(
                    f"another writer changed the same facts at the same moment ({written} of {rows_sent} rows).",
                    "Nothing is lost, it is tried again.",
                )
            if operations(session, batch) != said:
                raise WarehouseUnready("somebody said who did what meanwhile.", "Nothing is lost, it is tried again.")
            session.execute(_CLEAR, [batch], query_id=batch)


def sql(name: str) -> str:
    """The text of one of the .sql files beside this one, with `?` for its one value."""
    return (_HERE / f"{name}.sql").read_text("utf-8").replace(":1", "?")


def _array(names: list[str]) -> str:
    return msgspec.json.encode(names).decode()
