"""The plain file of a project: what the command hook gives Claude when no service answers it.

    plain/<name>     "/work/shop"                      the folder, as JSON
                     v7                                 the context's version
                     1795425161904618700                when it was put together, Unix nanoseconds
                     {"hookSpecificOutput":{…@AGE@…}}   what is printed, with the age put in for AGE

The hook has neither JSON nor digests (`capture/hook_command.py`), so the name is the folder with every byte that is no
letter or digit as `-`, its end only when it is long; the first line says whether it is the right one.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from cdesk.context.whole import put

PROJECTS_MAX = 200
NAME_BYTES_MAX = 200
BYTES_MAX = 48 * 1024
"""What fits into a pipe nobody reads, with room to spare: so printing it never waits."""
AGE = "@AGE@"
_VERSION = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAME = bytes(byte if chr(byte).isascii() and chr(byte).isalnum() else ord("-") for byte in range(256))


def name(project_json: bytes) -> str:
    """The file's name for a folder as it stands within the quotes of its JSON."""
    return project_json.translate(_NAME)[-NAME_BYTES_MAX:].decode("ascii")


class Plain(msgspec.Struct, frozen=True):
    """built_ns: when the context was put together, Unix nanoseconds · answer: the JSON, with AGE in it"""

    version: str
    built_ns: int
    answer: bytes


class PlainFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, project_path: str, version: str, built_at: float, answer: bytes) -> None:
        """answer: one line of JSON that holds AGE. Raises OSError."""
        project = msgspec.json.encode(project_path)
        whole = b"%b\n%b\n%d\n%b\n" % (project, version.encode(), int(built_at * 1e9), answer)
        if len(whole) <= BYTES_MAX and _VERSION.fullmatch(version):
            put(self._folder / name(project[1:-1]), whole, PROJECTS_MAX)

    def read(self, project_path: str) -> Plain | None:
        """None when there is none of this very folder."""
        project = msgspec.json.encode(project_path)
        try:
            known, version, built_ns, answer = (self._folder / name(project[1:-1])).read_bytes().split(b"\n", 3)
            return Plain(version.decode(), int(built_ns), answer.rstrip(b"\n")) if known == project else None
        except (OSError, ValueError):
            return None

    def clear(self) -> None:
        """Raises OSError."""
        for file in self._folder.glob("*"):
            file.unlink(missing_ok=True)
