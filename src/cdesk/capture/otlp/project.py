"""Which project a session works in, told by where its transcript is: telemetry does not say.

Asked only when projects are excluded from recording.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import msgspec

SESSIONS_MAX = 1_000
HEAD_BYTES = 256 * 1024
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,100}")


class _Line(msgspec.Struct):
    cwd: str | None = None


_decoder = msgspec.json.Decoder(_Line)


class SessionProjects:
    """Remembers the sessions it found; looks again for those it did not."""

    def __init__(self, claude_dirs: Iterable[Path]) -> None:
        self._dirs = list(claude_dirs)
        self._known: OrderedDict[str, str] = OrderedDict()

    def __call__(self, session_id: str) -> str | None:
        known = self._known.get(session_id)
        if known is not None or not _SESSION.fullmatch(session_id):
            return known
        found = next((cwd for path in self._transcripts(session_id) if (cwd := _cwd(path))), None)
        if found is not None:
            self._known[session_id] = found
            while len(self._known) > SESSIONS_MAX:
                self._known.popitem(last=False)
        return found

    def _transcripts(self, session_id: str) -> Iterable[Path]:
        return (path for root in self._dirs for path in root.glob(f"projects/*/{session_id}.jsonl"))


def _cwd(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    for line in head.split(b"\n"):
        try:
            if cwd := _decoder.decode(line).cwd:
                return cwd
        except (ValueError, RecursionError):
            continue
    return None
