"""`cdesk doctor`: looks at everything a person might have to mend, and says how."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from cdesk import config
from cdesk.capture import claude_version
from cdesk.capture.transcript import claude_dirs, find
from cdesk.cli import show, status
from cdesk.cli.doctor_hooks import connection
from cdesk.cli.finding import Finding
from cdesk.config import Home
from cdesk.queue import DeadLetters

CLEANUP_DAYS_DEFAULT = 30
DISK_FREE_MIN = 1024**3
LAG_SECONDS_MAX = 60.0
LETTERS_SHOWN = 5

_MARKS = {"ok": "✓", "note": "·", "problem": "✗"}


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "doctor", "Checks this machine and says what to do about each finding. Exit code 1: a problem."
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    findings = list(examine(config.home()))
    if given.json:
        show.json({"findings": [asdict(found) for found in findings]})
    else:
        for found in findings:
            print(f"{_MARKS[found.level]} {found.subject:<12} {found.finding}")
            if found.remedy:
                print(f"{'':15}→ {found.remedy}")
    return 1 if any(found.level == "problem" for found in findings) else 0


def examine(home: Home) -> Iterator[Finding]:
    yield from _home(home)
    version = claude_version.ask()
    yield from _claude(version)
    settings = config.load(home)
    dirs = [Path(d).expanduser() for d in settings.claude.dirs] or claude_dirs(os.environ, Path.home())
    yield from _history(dirs)
    yield from _flow(home)
    yield from connection(home, version)
    yield from _letters(home)


def _home(home: Home) -> Iterator[Finding]:
    if not home.path.exists():
        yield Finding("note", "home", f"{home.path} does not exist yet.", "`cdesk up` makes it.")
        return
    mode = home.path.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding(
            "problem", "home", f"{home.path} can be read by others (mode {mode:o}).", f"chmod 700 {home.path}"
        )
    elif not os.access(home.path, os.W_OK):
        yield Finding(
            "problem", "home", f"{home.path} cannot be written.", "Give it back to your user, or set CDESK_HOME."
        )
    else:
        yield Finding("ok", "home", f"{home.path}, readable by you only")
    free = shutil.disk_usage(home.path).free
    if free < DISK_FREE_MIN:
        yield Finding(
            "problem", "disk", f"only {show.size(free)} free.", "Free some space: the queue stops when it is full."
        )


def _claude(version: str | None) -> Iterator[Finding]:
    binary = shutil.which("claude")
    if binary is None:
        yield Finding("note", "claude", "Claude Code is not on PATH.", "Transcripts are read all the same.")
    elif version is None:
        yield Finding("note", "claude", f"{binary} did not tell its version.")
    else:
        yield Finding("ok", "claude", f"Claude Code {version}")


def _history(dirs: list[Path]) -> Iterator[Finding]:
    if not dirs:
        yield Finding("note", "history", "no Claude Code folder found (CLAUDE_CONFIG_DIR, ~/.config/claude, ~/.claude).",
                      "Use Claude Code once, name a folder in config.toml, or try `cdesk up --sample`.")  # fmt: skip
    for folder in dirs:
        paths = list(find(folder))
        unreadable = [path for path in paths if not os.access(path, os.R_OK)]
        if unreadable:
            yield Finding("problem", "history", f"{len(unreadable):,} transcripts cannot be read, first {unreadable[0]}.",
                          "Give your user permission to read them.")  # fmt: skip
        yield _deletion(folder, paths)


def _deletion(folder: Path, paths: list[Path]) -> Finding:
    if not paths:
        return Finding("note", "history", f"no transcripts in {folder} yet.")
    days = _cleanup_days(folder)
    oldest = min(path.stat().st_mtime for path in paths)
    left = days - (time.time() - oldest) / 86_400
    text = f"{len(paths):,} transcripts in {folder}; Claude Code deletes the oldest in {max(left, 0):.0f} days"
    if left < 3:
        return Finding(
            "note", "history", f"{text}.", "`cdesk import` now keeps what they say; or raise cleanupPeriodDays."
        )
    return Finding("ok", "history", f"{text} (cleanupPeriodDays {days}).")


def _cleanup_days(folder: Path) -> int:
    try:
        settings = msgspec.json.decode((folder / "settings.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return CLEANUP_DAYS_DEFAULT
    days = settings.get("cleanupPeriodDays") if isinstance(settings, dict) else None
    return days if isinstance(days, int) else CLEANUP_DAYS_DEFAULT


def _flow(home: Home) -> Iterator[Finding]:
    if not home.path.exists():
        return
    found: dict[str, Any] = status.read()
    if found["running"]:
        yield Finding("ok", "service", f"running, pid {found['pid']}, port {found['port']}")
    else:
        yield Finding(
            "note", "service", "not running.", "`cdesk up` starts it; until then live sessions are not followed."
        )
    activities = found["warehouse"]["activities"]
    if activities is None:
        yield Finding("note", "warehouse", "in use by another process.")
    elif activities == 0:
        yield Finding("note", "warehouse", "empty.", "`cdesk import` reads your history.")
    else:
        newest = found["warehouse"]["data_as_of"]
        yield Finding("ok", "warehouse", f"{activities:,} activities" + (f", data as of {newest}" if newest else ""))
    queue = found["queue"]
    if found["running"] and found["lag_s"] > LAG_SECONDS_MAX:
        yield Finding(
            "problem", "queue", f"the oldest activity has waited {show.age(found['lag_s'])}.", f"Look into {home.log}."
        )
    elif queue["bytes"]:
        yield Finding(
            "note",
            "queue",
            f"{queue['events']:,} activities wait.",
            "" if found["running"] else "`cdesk up` loads them.",
        )
    else:
        yield Finding("ok", "queue", "empty: everything is in the warehouse")
    yield from _team(found)
    drift = found.get("drift") or {"open": 0, "quarantined": 0}
    if drift["open"] or drift["quarantined"]:
        text = f"{drift['open']:,} kinds of activity left the catalog's shape, {drift['quarantined']:,} rows are set aside."
        yield Finding("note", "drift", text, "`cdesk drift list` shows them; accept or release each.")
    yield from _pressure(queue)
    contexts = found.get("contexts") or {"contexts": 0}
    if contexts["contexts"]:
        text = f"{contexts['contexts']:,} kept, the oldest {show.age(contexts['oldest_age_s'])} old"
        yield Finding("ok", "context", text)
    elif activities and found["running"]:
        yield Finding("note", "context", "none is kept yet.", "`cdesk context` builds one.")


def _team(found: dict[str, Any]) -> Iterator[Finding]:
    forward, collector = found.get("forward"), found.get("collector")
    if forward and forward["trouble"]:
        yield Finding("problem", "collector", f"{forward['events']:,} activities wait: {forward['trouble']}",
                      "They stay here until it takes them.")  # fmt: skip
    elif forward and forward["bytes"] and not found["running"]:
        yield Finding("note", "collector", f"{forward['events']:,} activities wait for it.", "`cdesk up` sends them.")
    elif forward:
        yield Finding("ok", "collector", f"sends to {forward['url']}, {forward['events']:,} wait")
    if collector and not collector["listen"] and found["running"]:
        yield Finding("note", "collector", "laptops are invited, but no collector runs.", "`cdesk up --role collector`")
    elif collector and collector["listen"]:
        yield Finding(
            "ok", "collector", f"collects at {collector['listen']} from {len(collector['laptops']):,} laptops"
        )


def _pressure(queue: dict[str, Any]) -> Iterator[Finding]:
    if queue["level"] == "critical":
        yield Finding("problem", "pressure", f"critical: {status.pressed(queue)[0].partition(': ')[2]}.",
                      "Let the service run (`cdesk up`), or raise queue.bytes_max in config.toml.")  # fmt: skip
    for line in status.pressed(queue)[queue["level"] == "critical" :]:
        yield Finding("note", "pressure", f"{line}.")
    found = queue["recovery"]
    if found is not None and (found["killed_pid"] or found["torn"]):
        killed = f"process {found['killed_pid']} had been killed; " if found["killed_pid"] else ""
        yield Finding("note", "recovery", f"{killed}at its start the service found {found['segments']:,} segments with "
                      f"{show.size(found['bytes'])} to load, {found['torn']:,} of them torn at the end.",
                      "Nothing to do: what was acknowledged is loaded, half a line never was.")  # fmt: skip
    counted = queue["counted"]
    if counted is not None and counted["damaged"]:
        yield Finding("note", "recovery", f"{counted['damaged']:,} damaged lines of the queue were set aside.",
                      "`cdesk queue dead list` shows them.")  # fmt: skip


def _letters(home: Home) -> Iterator[Finding]:
    if not home.dead.exists():
        return
    letters = list(DeadLetters(home.dead))
    if not letters:
        return
    yield Finding("note", "set aside", f"{len(letters):,} lines could not be read; they are kept in {home.dead}.",
                  "Nothing is lost; the good lines around them are in.")  # fmt: skip
    for letter in letters[:LETTERS_SHOWN]:
        yield Finding("note", "set aside", f"{letter.source} byte {letter.offset:,}: {letter.reason}")
