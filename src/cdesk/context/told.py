"""What each session was told: one small file a session, so that nothing is told twice.

    told/<session id>      {"project_path":"…","version":"…","marks":["…",…]}

A lost file costs a repetition, so nothing is synced. Only the newest SESSIONS_MAX stay.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path

import msgspec

from cdesk.context.model import Statement
from cdesk.context.whole import put

SESSIONS_MAX = 300
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FIGURE = re.compile(r"(?<![\w/.-])[$€]?\d[\d.,:]*%?(?![\w/-])")


class Told(msgspec.Struct, frozen=True):
    """project_path: the folder the session began in · version: of the context it knows, "" before it was told any
    marks: of the statements it was told"""

    project_path: str
    version: str = ""
    marks: frozenset[str] = frozenset()

    def knows(self, statement: Statement) -> bool:
        return mark(statement) in self.marks


def mark(statement: Statement) -> str:
    """The same for a statement of which only figures moved: a sum that grows with every prompt is no news."""
    words = _FIGURE.sub("0", statement.text)
    return blake2b(f"{statement.section}\n{words}".encode("utf-8", "replace"), digest_size=8).hexdigest()


class ToldSessions:
    """One folder; several threads may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, session: str) -> Told | None:
        """None when we never heard of its beginning."""
        if not _SESSION.fullmatch(session):
            return None
        try:
            return msgspec.json.decode((self._folder / session).read_bytes(), type=Told)
        except (OSError, msgspec.DecodeError):
            return None

    def remember(self, session: str, told: Told) -> None:
        """Raises OSError."""
        if _SESSION.fullmatch(session):
            put(self._folder / session, msgspec.json.encode(told), SESSIONS_MAX)
