"""A task is a .sql file: a header that says what it reads, when it runs and what it writes, then statements.

    -- task: roll_up_activity                       the file's name
    -- meaning: activities by hour and customer     one line for people
    -- reads: ROLL_UP_ACTIVITY_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)      as often as needed
    -- when: changes                                or: cron 0 2 * * * America/Los_Angeles
    -- fresh: 1 s                                   ms, s, min, h; what it writes is not older than this
    -- after: another_task                          optional: in one wake, not before that one
    -- about: tool_called, file_edited               optional: activities; changes of others are no reason to run
    -- writes: ACTIVITY_ROLLUP, INSIGHT_ATOMS
    -- scratch: ROLLUP_CHANGED                         optional: tables for work in progress, empty when a run begins and
                                                    forgotten when it ends

A stream's modes are `append` and `standard`, and `initial rows` or `new rows only`. The header ends with the first line
that is not a comment. The statements are Snowflake's SQL (docs/sql.md): INSERT, UPDATE, DELETE and MERGE, separated by
semicolons, run in one transaction. `:now` is the time in UTC.

A task may have parts: files in a folder of its name, which run where it says `-- parts`, in the order of their names. A part
that fails is left out of the run, and everything else is in effect all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import cast

from cdesk.errors import ConfigError
from cdesk.refresh import cron
from cdesk.refresh.cron import Cron
from cdesk.warehouse.warehouse import STREAM, TRACKED, Mode, Stream

FOLDER = Path(__file__).parent / "tasks"
FRESH_SECONDS = 5.0
"""Promised where a header promises nothing."""

PARTS = "\n-- parts\n"
_NEEDED = ("task", "meaning", "when", "writes")
_ONCE = (*_NEEDED, "fresh", "after", "about", "scratch")
_LINE = re.compile(r"--\s*(\w+):\s*(.*?)\s*$")
_NAME = re.compile(r"[a-z][a-z0-9_]*$")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_READS = re.compile(r"(\w+)\s+on\s+(\w+)\s+\((append|standard),\s*(initial rows|new rows only)\)$")
_FRESH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)$")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Piece:
    """Statements of one file. name: the part's; nothing for those that no run is without"""

    name: str
    sql: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """cron: None when it runs on changes · checksum: SHA-256 of its files, hex · pieces: the statements, in order"""

    name: str
    meaning: str
    reads: tuple[Stream, ...]
    cron: Cron | None
    fresh_seconds: float
    after: tuple[str, ...]
    about: tuple[str, ...]
    writes: tuple[str, ...]
    scratch: tuple[str, ...]
    checksum: str
    pieces: tuple[Piece, ...]

    @property
    def sql(self) -> str:
        """Every statement."""
        return "\n".join(piece.sql for piece in self.pieces)

    @property
    def when(self) -> str:
        return f"cron {self.cron.text}" if self.cron else "changes"


class BadTask(ConfigError):
    """A task file is not as it should be; says which and how."""


def load(folder: Path = FOLDER) -> list[Task]:
    """Every task of a folder, each behind those it comes after. Raises BadTask."""
    tasks = [read(path) for path in sorted(folder.glob("*.sql"))]
    _check_streams(tasks)
    return _in_order(tasks)


def read(path: Path) -> Task:
    try:
        text = path.read_text("utf-8")
        parts = [Piece(part.stem, part.read_text("utf-8")) for part in sorted(path.with_suffix("").glob("*.sql"))]
    except (OSError, UnicodeDecodeError) as error:
        raise BadTask(f"cannot read {path}: {error}.") from None
    try:
        return parse(path.stem, text, parts)
    except ValueError as error:
        raise BadTask(f"{path.name}: {error}.", "The header's form is in docs/refresh.md.") from None


def parse(stem: str, text: str, parts: Sequence[Piece] = ()) -> Task:
    """Raises ValueError saying what is wrong."""
    header, sql = _divided(text)
    said = _once(header)
    if said["task"] != stem or not _NAME.match(stem):
        raise ValueError(f"`task: {said['task']}` must be the file's name, in lower case")
    task = Task(
        name=stem, meaning=said["meaning"], cron=_cron(said["when"]),
        reads=tuple(_stream(value) for key, value in header if key == "reads"),
        fresh_seconds=_seconds(said["fresh"]) if "fresh" in said else FRESH_SECONDS,
        after=_names(said.get("after", ""), _NAME, "after"), about=_names(said.get("about", ""), _NAME, "about"),
        writes=_names(said["writes"], _TABLE, "writes"),
        scratch=_names(said.get("scratch", ""), _TABLE, "scratch"), pieces=_pieces(sql, parts),
        checksum=sha256("".join((text, *(part.name + part.sql for part in parts))).encode()).hexdigest(),
    )  # fmt: skip
    _check(task)
    return task


def _divided(text: str) -> tuple[list[tuple[str, str]], str]:
    lines = text.splitlines()
    header: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if not line.startswith("--"):
            return header, "\n".join(lines[number:])
        found = _LINE.match(line)
        if found is None or found[1] not in (*_ONCE, "reads"):
            known = ", ".join((*_ONCE, "reads"))
            raise ValueError(f"line {number + 1} of the header is none of {known}: {line!r}")
        header.append((found[1], found[2]))
    return header, ""


def _pieces(sql: str, parts: Sequence[Piece]) -> tuple[Piece, ...]:
    before, marker, after = sql.partition(PARTS)
    if bool(marker) != bool(parts):
        raise ValueError("a task with parts, and no other, says `-- parts` once, on a line of its own")
    return tuple(piece for piece in (Piece("", before), *parts, Piece("", after)) if piece.sql.strip())


def _once(header: Iterable[tuple[str, str]]) -> dict[str, str]:
    said: dict[str, str] = {}
    for key, value in header:
        if key in said and key != "reads":
            raise ValueError(f"`{key}:` is there twice")
        said[key] = value
    if missing := [key for key in _NEEDED if not said.get(key)]:
        raise ValueError(f"the header has no `{missing[0]}:`")
    return said


def _cron(when: str) -> Cron | None:
    if when == "changes":
        return None
    word, _, expression = when.partition(" ")
    if word != "cron":
        raise ValueError(f"`when: {when}` is neither `changes` nor `cron …`")
    return cron.parse(expression)


def _stream(text: str) -> Stream:
    found = _READS.match(text)
    if found is None:
        raise ValueError(f"`reads: {text}` is not `NAME on TABLE (append|standard, initial rows|new rows only)`")
    name, table, mode, first = found.groups()
    if table.upper() not in TRACKED:
        raise ValueError(f"there is no change stream on {table}, only on {', '.join(TRACKED)}")
    return Stream(name.upper(), table.upper(), cast(Mode, mode), first == "initial rows")


def _seconds(text: str) -> float:
    found = _FRESH.match(text)
    if found is None:
        raise ValueError(f"`fresh: {text}` is not a time such as 500 ms, 1 s, 5 min or 1 h")
    return float(found[1]) * _UNITS[found[2]]


def _names(text: str, form: re.Pattern[str], key: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if wrong := [name for name in names if not form.match(name)]:
        raise ValueError(f"`{key}:` names {wrong[0]!r}, which is no name")
    return tuple(name.upper() if form is _TABLE else name for name in names)


def _check(task: Task) -> None:
    if not task.sql.strip():
        raise ValueError("there are no statements")
    if task.cron is None and not task.reads:
        raise ValueError("`when: changes` needs a `reads:`")
    if task.about and any(stream.table != STREAM for stream in task.reads):
        raise ValueError(f"`about:` is of activities, which are in {STREAM} alone")
    for stream in task.reads:
        if not re.search(rf"\b{stream.name}\b", task.sql, re.IGNORECASE):
            raise ValueError(f"no statement reads {stream.name}, so it would never be consumed")


def _check_streams(tasks: Sequence[Task]) -> None:
    owner: dict[str, str] = {}
    for task in tasks:
        for stream in task.reads:
            if stream.name in owner:
                raise BadTask(
                    f"{task.name} and {owner[stream.name]} both read {stream.name}.", "Give each a stream of its own."
                )
            owner[stream.name] = task.name


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    waiting, placed = {task.name: task for task in tasks}, list[Task]()
    for task in tasks:
        if unknown := [name for name in task.after if name not in waiting]:
            raise BadTask(f"{task.name} comes after {unknown[0]}, which is no task.")
    ready: Callable[[Task], bool] = lambda task: not any(name in waiting for name in task.after)  # noqa: E731
    while waiting:
        free = next((task for task in waiting.values() if ready(task)), None)
        if free is None:
            raise BadTask(f"{', '.join(waiting)} come after each other in a circle.")
        placed.append(waiting.pop(free.name))
    return placed
