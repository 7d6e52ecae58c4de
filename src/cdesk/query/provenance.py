"""What an answer's id is made of, and when an answer is another one.

    question_key  = digest( question, version, file, parameters, role )                 what is asked
    query_id      = digest( question_key, what is bound, data version )                 what is answered

Parameters are written canonically: names in order at every depth, so that `{"a": [1, 2]}` and `{"a": [2, 1]}` differ and
the order of names does not. The data version is the number of the last commit that brought news to what the question
reads. cdesk's own records of being asked are no news: otherwise to ask would be to change the answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Protocol

import msgspec

from cdesk.activity.model import JSON
from cdesk.query.template import Role, Source, Template
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import ATOMS, STREAM, Warehouse

TAG = "cdesk:"
ROLLED_UP = "ROLL_UP_ACTIVITY_CHANGES"
"""How far the rollups have come."""


def canonical(value: JSON) -> bytes:
    """The same bytes for the same value."""
    return msgspec.json.encode(value, order="deterministic")


def question_key(template: Template, values: Mapping[str, JSON], role: Role) -> str:
    return _digest([template.name, template.version, template.checksum, dict(values), role])


def query_id(key: str, bound: Sequence[JSON], data_version: str) -> str:
    """What `cdesk:` stands before in tags and citations."""
    return f"q_{_digest([key, list(bound), data_version])}"


def _digest(parts: JSON) -> str:
    return blake2b(canonical(parts), digest_size=16, person=b"cdesk-question").hexdigest()


class Commits(Protocol):
    """Numbers of commits, known without asking the warehouse. A consumer that is not known raises KeyError."""

    def seq(self, table: str) -> int: ...

    def offset(self, stream: str) -> int: ...


class DataVersion(msgspec.Struct, frozen=True):
    """text: the same while nothing that matters has changed · as_of: the newest activity that is in it, UTC"""

    text: str
    as_of: datetime | None


class DataVersions:
    """Of one warehouse. It is looked at before a statement runs: the answer may know more than it says, never less."""

    def __init__(self, warehouse: Warehouse, commits: Commits) -> None:
        self._warehouse = warehouse
        self._commits = commits
        self._lock = threading.Lock()
        self._looked = -1
        self._news = 0
        self._as_of: datetime | None = None

    def of(self, reads: Sequence[Source]) -> DataVersion:
        """A rollup that has not taken in all news says how far it has come, too."""
        news, as_of = self._last_news()
        parts = []
        if "stream" in reads or "rollups" in reads:
            parts.append(f"s{news}")
        if "rollups" in reads and (rolled := self._rolled()) < news:
            parts.append(f"r{rolled}")
        if "insights" in reads:
            parts.append(f"i{self._commits.seq(ATOMS)}")
        return DataVersion(" ".join(parts), as_of)

    def _last_news(self) -> tuple[int, datetime | None]:
        """Looks only at commits that came since it last looked."""
        with self._lock:
            seq = self._commits.seq(STREAM)
            if seq > self._looked:
                sql, _ = prepared("question_news")
                news, as_of = self._warehouse.query(sql, [self._looked]).rows[0]
                self._news = max(self._news, news or 0)
                self._as_of = max(filter(None, (self._as_of, as_of)), default=None)
                self._looked = seq
            return self._news, self._as_of

    def _rolled(self) -> int:
        try:
            return self._commits.offset(ROLLED_UP)
        except KeyError:
            return -1
