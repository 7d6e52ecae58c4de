"""`cdesk statusline`: a line below Claude Code's prompt: is cdesk up, spend today and in this session, age of the context.

Claude Code runs it after each message, so it loads little, reads three small files and asks nobody. The person's own status
line comes first, as it is. Whatever is wrong with ours, theirs is shown alone; one that hangs is cut off after
WRAPPED_SECONDS; the exit code is 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

WRAPPED_SECONDS = 3.0
LIFE_SECONDS = 4
STDIN_BYTES_MAX = 1 << 20
SAID_BYTES_MAX = 16 * 1024
"""Fits into a pipe that nobody reads, so printing never waits."""
READ_WAIT_SECONDS = 0.02
ENDINGS = (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
GREEN, RED, DIM, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"


def run(arguments: list[str]) -> int:
    home, command = _given(arguments)
    theirs = Theirs()
    for number in ENDINGS:
        signal.signal(number, lambda *_: theirs.end())
    signal.alarm(LIFE_SECONDS)
    payload = b"" if sys.stdin.isatty() else sys.stdin.buffer.read(STDIN_BYTES_MAX)
    theirs.start(command)
    try:
        ours = line(home, payload, time.time(), with_colour=not os.environ.get("NO_COLOR")).encode()
    except Exception:
        ours = b""
    said = theirs.said(payload)
    _print(said if not said or said.endswith(b"\n") else said + b"\n", ours + b"\n" if ours else b"")
    return 0


def _given(arguments: list[str]) -> tuple[str, str | None]:
    """The home and the person's own command."""
    named = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or not named.keys() <= {"--home", "--wrap"}:
        named = _parsed(arguments)
    home = named.get("--home") or os.environ.get("CDESK_HOME") or "~/.cdesk"
    return os.path.abspath(os.path.expanduser(home)), named.get("--wrap") or None  # noqa: PTH100, PTH111


def _parsed(arguments: list[str]) -> dict[str, str]:
    """For people: help, and what is wrong with an option. The parser takes longer to load than the line may take."""
    from cdesk.cli import show

    parser = show.parser(
        "statusline",
        "The status line that Claude Code shows: reads its JSON on standard input and says in one line whether cdesk is\n"
        "up, what today and this session have cost, and how old the project's context is. NO_COLOR turns colours off.\n"
        "`cdesk connect --statusline` puts it into Claude Code's settings.",
    )
    parser.add_argument("--home", metavar="DIR", help="of which home (default: CDESK_HOME, else ~/.cdesk)")
    parser.add_argument("--wrap", metavar="COMMAND", help="a shell command whose output comes first")
    given = parser.parse_args(arguments)
    return {name: value for name, value in (("--home", given.home), ("--wrap", given.wrap)) if value is not None}


# -- the person's own ----------------------------------------------------------------------------------------------


class Theirs:
    """Their command, in a process group of its own, so that it can be ended with all it started."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: str | None) -> None:
        if command is None:
            return
        import subprocess

        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
            )
        except OSError:
            self._process = None

    def said(self, payload: bytes) -> bytes:
        """What it printed, when it ended well in time; Claude Code shows nothing of one that failed either. Something it
        left running behind it, which still holds its output open, goes on."""
        if self._process is None:
            return b""
        from subprocess import TimeoutExpired

        try:
            said, _ = self._process.communicate(payload, WRAPPED_SECONDS)
        except TimeoutExpired as late:
            said = late.output or b""
        except OSError:
            return b""
        if self._process.poll() is None:
            self._kill()
        return said if self._process.returncode == 0 else b""

    def end(self) -> None:
        """When we are told to end, theirs is as well."""
        self._kill()
        os._exit(0)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except OSError:
                pass


def _print(*said: bytes) -> None:
    try:
        os.write(1, b"".join(said)[:SAID_BYTES_MAX])
    except OSError:
        pass  # nobody listens any more


# -- ours ----------------------------------------------------------------------------------------------------------


def line(home: str, payload: bytes, now: float, *, with_colour: bool) -> str:
    """Empty without a home. payload: Claude Code's JSON; what it does not say is left out. now: Unix seconds."""
    from cdesk.context import today

    if not os.path.isdir(home):  # noqa: PTH112
        return ""
    session = _object(payload)
    is_up = _is_up(home)
    known = today.read(f"{home}/context/today.json")
    parts = [
        f"{GREEN if is_up else RED}●{PLAIN} cdesk {'up' if is_up else 'down'}",
        _today(known, now, is_up=is_up),
        _session(session),
        _context(home, session, now, None if known is None else known.customer),
    ]
    told = f"{DIM} · {PLAIN}".join(part for part in parts if part)
    return told if with_colour else _without_colour(told)


def _today(known: Any, now: float, *, is_up: bool) -> str:
    """A service that is up writes the file with the first fact of a day."""
    if known is None:
        return ""
    of = f" of {_dollars(known.budget_usd)}" if known.budget_usd is not None else ""
    if known.day != time.strftime("%Y-%m-%d", time.localtime(now)):
        return f"$0.00{of} today" if is_up else ""
    cost = known.cost_usd or 0
    least = "at least " if known.unpriced else ""
    until = "" if is_up else time.strftime(" until %H:%M", time.localtime(known.as_of))
    is_over = known.budget_usd is not None and cost > known.budget_usd
    return f"{RED if is_over else ''}{least}{_dollars(cost)}{of}{PLAIN if is_over else ''} today{until}"


def _session(session: dict[str, Any]) -> str:
    cost = _member(session, "cost", "total_cost_usd")
    is_cost = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < 1e9
    return f"{_dollars(cost)} this session" if is_cost else ""


def _context(home: str, session: dict[str, Any], now: float, customer: str | None) -> str:
    project = _member(session, "workspace", "project_dir") or session.get("cwd")
    if customer is None or not isinstance(project, str):
        return ""
    built_at = _built_at(home, customer, project)
    return "no context yet" if built_at is None else f"context {_age(max(0.0, now - built_at))} old"


def _built_at(home: str, customer: str, project: str) -> float | None:
    """Asked of the cache itself (`context/cache.py`): its own reader loads more than this whole program."""
    import sqlite3

    key = json.dumps([customer, project, "default"], ensure_ascii=False, separators=(",", ":"))
    where = _uri(f"{home}/context/cache.sqlite")
    try:
        cache = sqlite3.connect(f"file://{where}?mode=ro", uri=True, timeout=READ_WAIT_SECONDS, isolation_level=None)
        try:
            row = cache.execute("SELECT built_at FROM context WHERE key = ?", (key,)).fetchone()
        finally:
            cache.close()
    except sqlite3.Error:
        return None
    return None if row is None else float(row[0])


def _uri(path: str) -> str:
    for mark in "%?#":
        path = path.replace(mark, f"%{ord(mark):02x}")
    return path


def _is_up(home: str) -> bool:
    """Whether the process that the service wrote down is there, and one of ours (as `cli/client.py` asks)."""
    try:
        with open(f"{home}/service.json", "rb") as file:  # noqa: PTH123
            pid = int(_object(file.read(4_096))["pid"])
        if pid <= 0:
            return False
        os.kill(pid, 0)
    except (OSError, KeyError, ValueError, TypeError, OverflowError):
        return False
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return b"cdesk" in file.read()
    except OSError:
        return True


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _member(found: dict[str, Any], *names: str) -> Any:
    at: Any = found
    for name in names:
        at = at.get(name) if isinstance(at, dict) else None
    return at


def _dollars(cost: float) -> str:
    return f"${cost:,.2f}"


def _age(seconds: float) -> str:
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:,.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"


def _without_colour(text: str) -> str:
    for colour in (GREEN, RED, DIM, PLAIN):
        text = text.replace(colour, "")
    return text
