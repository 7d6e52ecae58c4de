"""The team's warehouse, loaded by Snowpipe Streaming: what a batch says is sent as rows, and merged by Snowflake itself.

    batch ──join (`facts.py`)──▶ one row for each fact ──channel──▶ CLAUDE_STREAMED
                                                                       │ task CDESK_STREAMED, when there are new rows
             CLAUDE_STREAM_V2 ◀── facts that are new, once each ───────┤
             CLAUDE_UNSETTLED ◀── facts that somebody knew already ────┘
                    │ `settle`: joined with their rows by the rules of the copy path
                    └──▶ CLAUDE_STREAM_V2

To join two observations of one fact takes all that cdesk knows of activities, so Snowflake's task does only what SQL can do
surely: it inserts facts none of whose names anybody has, drops what says nothing new, and puts the rest aside for `settle`.
Merging is told again without harm and in any order, so it does not matter when that comes, or how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cdesk.activity.model import Activity, RawActivity
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import SnowflakeSettings
from cdesk.errors import WarehouseError
from cdesk.warehouse.facts import joined, whole
from cdesk.warehouse.snowflake import rows
from cdesk.warehouse.snowflake.merge import sql
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.snowflake.streaming import Channel
from cdesk.warehouse.snowflake.trouble import translated
from cdesk.warehouse.warehouse import Merged

SETTLE_ROWS_MAX = 5_000
_encode = msgspec.json.Encoder().encode


class StreamedWarehouse(SnowflakeWarehouse):
    """`merge` keeps rows, `send` sends them; questions go the same way as ever."""

    def __init__(
        self, settings: SnowflakeSettings, channel: Channel, *, clock: Clock = SYSTEM_CLOCK,
        sessions: Sessions | None = None,
    ) -> None:  # fmt: skip
        super().__init__(settings, clock=clock, sessions=sessions)
        self._channel = channel
        self._waiting: list[dict[str, Any]] = []
        self._told: list[Activity] = []
        self._under_way: list[Activity] = []
        self._last: str | None = None
        self.bytes_sent = 0

    @property
    def is_open(self) -> bool:
        return self._channel.is_open

    def open(self) -> str | None:
        """The token of the last batch that Snowflake has. Raises WarehouseUnready and ConfigError."""
        self._under_way, self._last = [], None
        return self._channel.open()

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        """Keeps them for `send`: what Snowflake knew already is seen only there, so all count as inserted."""
        told = [whole(activity) for activity in activities]
        changed, _, merged = joined(told, {})
        batch, at = self._new_query_id(), rows.time_text(self._clock.now())
        for place, one in enumerate(changed):
            line = _encode(rows.row(one))
            self.bytes_sent += len(line)
            self._waiting.append({
                "id": f"{batch}/{place}", "channel": self._channel.name, "sent_at": at, "line": msgspec.Raw(line)
            })  # fmt: skip
        self._told += told
        return merged

    def send(self, token: str) -> None:
        """What waits, as one batch that ends there. Raises WarehouseUnready; then nothing is under way any more."""
        waiting, told = self._waiting, self._told
        self._waiting, self._told = [], []
        if waiting:
            self._channel.send(waiting, token)
            self._under_way += told
            self._last = token

    def confirm(self) -> None:
        """Returns when Snowflake has committed everything that was sent. Raises WarehouseUnready."""
        last, told = self._last, self._under_way
        self._last, self._under_way = None, []
        if last is not None and self._channel.confirm(last):
            super().merge(told)  # what the pipe cannot take goes the other way

    def forget(self) -> None:
        """What waits and was not sent: its lines are told again."""
        self._waiting, self._told = [], []

    def settle(self) -> int:
        """Joins facts that were known already with their rows; how many lines that were. Raises WarehouseError."""
        query_id = self._new_query_id()
        with translated(), self._sessions.take() as session:
            found = session.execute(_UNSETTLED, [self._channel.name], query_id=query_id, rows_max=SETTLE_ROWS_MAX).rows
        if any(operation.stands for operation in self.identities.operations):
            self.identities.rewrite(lambda done, total: None)  # what the task inserted is as it was told
        if not found:
            return 0
        settled = self._settled([(str(name), rows.observations(line)) for name, line in found])
        with translated(), self._sessions.take() as session:
            session.execute(_SETTLED, [_encode(settled).decode()], query_id=query_id)
        return len(settled)

    def close(self) -> None:
        self._channel.close()
        super().close()

    def _settled(self, lines: list[tuple[str, list[Activity]]]) -> list[str]:
        """Those that are merged now: all, or all but what cannot be."""
        try:
            super().merge([one for _, told in lines for one in told])
        except WarehouseError as error:
            if error.retryable or len(lines) == 1:
                raise
            middle = len(lines) // 2
            return self._settled(lines[:middle]) + self._settled(lines[middle:])
        return [name for name, _ in lines]


_UNSETTLED = sql("streaming_unsettled")
_SETTLED = sql("streaming_settled")
