"""`cdesk statusline`, as Claude Code runs it: the person's own first, ours below, and never anything worse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.context.hostile import HOSTILE
from tests.journeys.cdesk import Cdesk

from cdesk.capture import statusline as setting
from cdesk.cli import statusline
from cdesk.context import today
from cdesk.context.cache import ContextCache
from cdesk.context.model import Context, ContextKey
from cdesk.context.today import Today
from cdesk.context.wishes import key_text

HEAVY = (
    "msgspec",
    "duckdb",
    "sqlglot",
    "argparse",
    "pathlib",
    "tomllib",
    "http",
    "asyncio",
    "cdesk.config",
    "cdesk.app",
)
PROBE = f"""
import sys
from cdesk.cli import main
status = main(["statusline", *sys.argv[1:]])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""
NOON = datetime(2026, 11, 28, 12, 0).astimezone().timestamp()
PAYLOAD: dict[str, Any] = {
    "session_id": "s-1", "cwd": "/work/shop/src", "workspace": {"project_dir": "/work/shop"}, "cost": {"total_cost_usd": 0.314},
}  # fmt: skip
PATIENCE_S = 30


def home_of(
    folder: Path, *, cost: float | None = 4.2, unpriced: int = 0, age: float | None = 12, now: float = NOON
) -> Path:
    """A home whose service has told what today has cost, and put a context together `age` seconds ago."""
    day = time.strftime("%Y-%m-%d", time.localtime(now))
    today.keep(folder / "context" / "today.json", Today("ada", day, cost, unpriced, now - 60))
    if age is not None:
        cache = ContextCache(folder / "context" / "cache.sqlite")
        cache.keep([Context(ContextKey("ada", "/work/shop"), (), now - age, None, "v1")])
        cache.close()
    return folder


def line(home: Path, payload: Any = PAYLOAD, now: float = NOON) -> str:
    return statusline.line(str(home), json.dumps(payload).encode(), now, with_colour=False)


def run(
    home: Path, theirs: str | None = None, payload: bytes = b"{}", **more: str
) -> subprocess.CompletedProcess[bytes]:
    """The command as it stands in the settings."""
    environment = {**os.environ, "NO_COLOR": "1", **more}
    command = setting.command_line(home, theirs)
    return subprocess.run(
        ["/bin/sh", "-c", command], input=payload, env=environment, capture_output=True, check=False, timeout=PATIENCE_S
    )


# -- what it says --------------------------------------------------------------------------------------------------


def test_it_says_what_is_known(tmp_path: Path) -> None:
    """Spend today in all projects, in this session, and the age of what Claude is told of this project."""
    found = line(home_of(tmp_path))
    assert found == "● cdesk down · $4.20 today until 11:59 · $0.31 this session · context 12 s old"


def test_a_service_that_is_up_is_seen(tmp_path: Path) -> None:
    """By the process it wrote down; another's process of the same number is not taken for it."""
    home = home_of(tmp_path)
    alive = subprocess.Popen([sys.executable, "-c", "input()", "cdesk"], stdin=subprocess.PIPE)
    other = subprocess.Popen(["sleep", "600"])
    try:
        for pid, is_up in (
            (alive.pid, True),
            (other.pid, False),
            (2**22 + 7, False),
            (0, False),
            (-1, False),
            ("x", False),
        ):
            (home / "service.json").write_text(json.dumps({"pid": pid, "port": 1, "started_at": ""}))
            assert line(home).startswith("● cdesk up · $4.20 today ·") == is_up, pid
        (home / "service.json").write_text(json.dumps({"pid": alive.pid, "port": 1, "started_at": ""}))
        assert "· $0.00 today ·" in line(home, now=NOON + 86_400), "a new day that nothing was done on yet"
    finally:
        for process in (alive, other):
            process.kill()
            process.communicate()


def test_yesterdays_figure_is_not_todays(tmp_path: Path) -> None:
    """Without a service nobody knows."""
    assert "today" not in line(home_of(tmp_path), now=NOON + 86_400)


@pytest.mark.parametrize(("given", "told"), [
    ({"cost": None}, "$0.00 today"), ({"cost": 1234.5, "unpriced": 2}, "at least $1,234.50 today"), ({"age": 7300}, "context 2 h old"),
    ({"age": -50}, "context 0 s old"), ({"age": None}, "no context yet"),
])  # fmt: skip
def test_figures_as_people_read_them(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    assert told in line(home_of(tmp_path, **given))


def test_a_budget_stands_beside_it_and_is_red_when_it_is_passed(tmp_path: Path) -> None:
    """What is no number leaves the figure out."""
    home = home_of(tmp_path)
    for budget, told in ((5.0, "$4.20 of $5.00 today"), (4, f"{statusline.RED}$4.20 of $4.00{statusline.PLAIN} today")):
        today.keep(home / "context" / "today.json", Today("ada", "2026-11-28", 4.2, 0, NOON - 60), budget)
        assert told in statusline.line(str(home), json.dumps(PAYLOAD).encode(), NOON, with_colour=True)
    today.keep(home / "context" / "today.json", Today("ada", "2026-11-28", 4.2, 0, NOON - 60), "much")  # type: ignore[arg-type]
    assert "today" not in line(home)


def test_colour_is_an_addition(tmp_path: Path) -> None:
    """The words are the same without it."""
    told = statusline.line(str(home_of(tmp_path)), b"{}", NOON, with_colour=True)
    assert told.startswith("\x1b[31m●\x1b[0m cdesk down")
    assert b"\x1b" in run(tmp_path, NO_COLOR="").stdout and b"\x1b" not in run(tmp_path, NO_COLOR="1").stdout


@pytest.mark.parametrize("name", [name for name in HOSTILE if "surrogate" not in name and len(HOSTILE[name]) < 10_000])
def test_any_folder_finds_its_context(tmp_path: Path, name: str) -> None:
    """Its key is written here as the cache writes it; nothing of it is shown."""
    folder = HOSTILE[name]
    cache = ContextCache(home_of(tmp_path, age=None) / "context" / "cache.sqlite")
    cache.keep([Context(ContextKey("ada", folder), (), NOON - 5, None, "v1")])
    cache.close()
    assert key_text(ContextKey("ada", folder))
    assert line(tmp_path, {"cwd": folder}).endswith("· context 5 s old")


# -- what may be wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"cost": 1, "workspace": [], "cwd": 7}', b'{"cost": {"total_cost_usd": 1e999}}',
    b'{"cost": {"total_cost_usd": true}}', b"[" * 100_000, b'{"cwd": "\\ud800"}',
])  # fmt: skip
def test_whatever_is_given_theirs_is_shown(tmp_path: Path, payload: bytes) -> None:
    """It gets what we got; ours leaves out what it does not know."""
    done = run(home_of(tmp_path), "printf theirs; wc -c", payload)
    assert done.returncode == 0 and done.stdout.startswith(b"theirs%d\n" % len(payload))
    assert b"this session" not in done.stdout and done.stderr == b""


@pytest.mark.parametrize("file", ["today.json", "cache.sqlite"])
@pytest.mark.parametrize("content", [b"", b"garbage", b'{"customer": 1}', b'{"customer":"a","day":[],"cost_usd":"x","unpriced":0,"as_of":0}'])  # fmt: skip
def test_damaged_files_are_no_matter(tmp_path: Path, file: str, content: bytes) -> None:
    """What they would say is left out."""
    for path in (home_of(tmp_path) / "context").glob(f"{file}*"):
        path.write_bytes(content)
    done = run(tmp_path, "echo theirs", json.dumps(PAYLOAD).encode())
    told = done.stdout.decode().splitlines()
    assert done.returncode == 0 and told[0] == "theirs" and "cdesk down" in told[1] and "$0.31 this session" in told[1]


def test_without_a_home_only_theirs(tmp_path: Path) -> None:
    """Who took the home away wants to hear nothing of it."""
    assert run(tmp_path / "gone", "echo theirs").stdout == b"theirs\n"
    done = run(tmp_path / "gone")
    assert (done.returncode, done.stdout) == (0, b"")


def test_theirs_comes_first_as_it_is(tmp_path: Path) -> None:
    """Several lines, colours, no last new line; one that fails shows nothing, as without us."""
    home_of(tmp_path)
    done = run(tmp_path, r"printf 'a\n\033[1mb'")
    assert done.stdout.startswith("a\n\x1b[1mb\n● cdesk down".encode()) and done.stdout.count(b"\n") == 3
    assert run(tmp_path, "echo broken; exit 3").stdout.startswith("● cdesk down".encode())
    assert run(tmp_path, "exec true").stdout.startswith("● cdesk down".encode())


def test_one_that_hangs_is_cut_off_with_all_it_started(tmp_path: Path) -> None:
    """Ours is shown without it."""
    mark = tmp_path / "pids"
    done = run(home_of(tmp_path), f"echo partly; sleep 600 & echo $! > {mark}; wait")
    assert done.returncode == 0 and done.stdout.startswith("● cdesk down".encode())
    _until(lambda: not _is_running(int(mark.read_text())))


def test_what_theirs_leaves_running_goes_on(tmp_path: Path) -> None:
    """A refresh in the background that holds the output open; the line itself had ended."""
    mark = tmp_path / "pid"
    done = run(home_of(tmp_path), f"echo theirs; sleep 600 & echo $! > {mark}")
    pid = int(mark.read_text())
    try:
        assert done.stdout.startswith("theirs\n● cdesk down".encode()) and _is_running(pid)
    finally:
        os.kill(pid, 9)


def test_an_input_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    """Claude Code would have closed it."""
    arguments = [sys.executable, "-m", "cdesk", "statusline", "--home", str(tmp_path), "--wrap", "echo theirs"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.wait(PATIENCE_S) == 0


def test_being_ended_ends_theirs(tmp_path: Path) -> None:
    """Claude Code ends a line that takes longer than the next message."""
    mark = tmp_path / "pid"
    arguments = [
        sys.executable,
        "-m",
        "cdesk",
        "statusline",
        "--home",
        str(tmp_path),
        "--wrap",
        f"echo $$ > {mark}; sleep 600",
    ]
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        _until(lambda: mark.exists() and mark.read_text().strip())
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    _until(lambda: not _is_running(int(mark.read_text())))


def test_it_loads_little(tmp_path: Path) -> None:
    """It runs after every message: no warehouse, no web, no settings; with theirs too."""
    home_of(tmp_path)
    for theirs in ([], ["--wrap", "echo theirs"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROBE, "--home", str(tmp_path), *theirs],
            input=json.dumps(PAYLOAD).encode(), capture_output=True, check=True,
        )  # fmt: skip
        assert done.stderr.decode().strip() == "[]" and b"this session" in done.stdout


def test_help_and_wrong_options(tmp_path: Path) -> None:
    """For people who try it."""
    cdesk = Cdesk(tmp_path / "home", tmp_path)
    assert "NO_COLOR" in cdesk.text("statusline", "--help")
    done = cdesk.run("statusline", "--what")
    assert done.returncode == 2 and b"--what" in done.stderr and b"Traceback" not in done.stderr


# -- with a service ------------------------------------------------------------------------------------------------


def test_spend_arrives_in_the_line(tmp_path: Path) -> None:
    """From a fact to what the person sees, through settings that `cdesk connect --statusline` wrote; and out again."""
    cdesk = Cdesk(tmp_path / "home", tmp_path / "claude")
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    settings = cdesk.claude_dir / "settings.json"
    settings.write_text(before := '{\n  "statusLine": {"type": "command", "command": "echo th\\u00e9irs"}\n}\n')
    cdesk.home.mkdir(mode=0o700)
    (cdesk.home / "config.toml").write_text('[person]\ncustomer = "ada"\n')
    cdesk.up()
    try:
        cdesk.text("connect", "--yes", "--statusline")
        cdesk.text("emit", stdin=json.dumps({
            "activity": "claude_responded", "ts": datetime.now(UTC).isoformat(), "customer": "ada", "activity_id": "a-1",
            "_session_id": "s-1", "revenue_impact": 1.25, "feature_json": {
                "project_path": "/work/shop", "model": "claude-opus-5-5", "prompt_tokens": 10, "completion_tokens": 10,
                "total_tokens": 20, "is_counted": True, "cost_usd": 1.25,
            },
        }).encode())  # fmt: skip
        command = json.loads(settings.read_text())["statusLine"]["command"]

        def said() -> str:
            environment = {**os.environ, "NO_COLOR": "1"}
            return subprocess.run(
                ["/bin/sh", "-c", command], input=json.dumps(PAYLOAD), env=environment, capture_output=True, text=True, check=True
            ).stdout  # fmt: skip

        _until(lambda: "$1.25 today ·" in said() and " old" in said())
        first, second = said().splitlines()
        assert first == "théirs" and second.startswith("● cdesk up · $1.25 today · $0.31 this session · context ")
        assert (cdesk.home / "context" / "today.json").stat().st_mode & 0o777 == 0o600
    finally:
        cdesk.down()
    assert "cdesk down · $1.25 today until" in said()
    cdesk.text("disconnect", "--yes")
    assert settings.read_text() == before


def test_the_status_line_is_the_persons_not_a_projects(tmp_path: Path) -> None:
    """One line, and nothing written."""
    cdesk = Cdesk(tmp_path / "home", tmp_path)
    done = cdesk.run(
        "connect", "--yes", "--statusline", "--scope", "project", "--claude-dir", str(tmp_path / "project")
    )
    assert done.returncode == 2 and b"--scope" in done.stderr and not (tmp_path / "project").exists()


def _until(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    """A process that ended and was not waited for yet is not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
