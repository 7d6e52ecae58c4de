"""`cdesk connect` and `cdesk disconnect`, as a person runs them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk

THEIRS = '{\n  "model": "opus",\n  "env": {\n    "FOO": "1"\n  }\n}\n'


@pytest.fixture
def cdesk(tmp_path: Path) -> Cdesk:
    (tmp_path / "claude").mkdir()
    return Cdesk(tmp_path / "home", tmp_path / "claude")


@pytest.fixture
def with_claude(cdesk: Cdesk, tmp_path: Path) -> str:
    """A PATH on which a `claude` says that it is 2.1.330, and notes which home it was asked in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    binary = folder / "claude"
    binary.write_text(f'#!/bin/sh\necho "$HOME" > {tmp_path}/asked-in\necho "2.1.330 (Claude Code)"\n')
    binary.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def settings(cdesk: Cdesk) -> Path:
    return cdesk.claude_dir / "settings.json"


def test_connect_and_disconnect_are_inverse(cdesk: Cdesk, with_claude: str) -> None:
    """A difference is shown without the token, a backup kept; then nothing to do; then everything back."""
    settings(cdesk).write_text(THEIRS)
    done = cdesk.run("connect", "--yes", PATH=with_claude)
    told = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    token = (cdesk.home / "ingest-token").read_text().strip()
    assert "Claude Code 2.1.330: 25 of its events." in told and '+    "SessionStart": [' in told
    assert token not in told and token in settings(cdesk).read_text()
    (backup,) = cdesk.claude_dir.glob("settings.json.before-cdesk-*")
    assert backup.read_text() == THEIRS and str(backup) in told
    assert "nothing to change" in cdesk.run("connect", "--yes", PATH=with_claude).stdout.decode()
    assert cdesk.run("disconnect", "--yes").returncode == 0
    assert settings(cdesk).read_text() == THEIRS
    assert "nothing of ours" in cdesk.run("disconnect", "--yes").stdout.decode()


def test_claude_is_asked_for_its_version_in_a_home_of_its_own(cdesk: Cdesk, with_claude: str, tmp_path: Path) -> None:
    """Old releases write into the home they find, even for --version."""
    cdesk.run("connect", "--yes", PATH=with_claude)
    assert (tmp_path / "asked-in").read_text().strip() not in ("", str(tmp_path), str(cdesk.home))


def test_without_claude_only_what_all_versions_know(cdesk: Cdesk) -> None:
    """As commands."""
    done = cdesk.run("connect", "--yes", PATH="/usr/bin:/bin")
    hooks = json.loads(settings(cdesk).read_text())["hooks"]
    assert "not known" in done.stdout.decode() and len(hooks) == 8
    assert {handler["type"] for groups in hooks.values() for group in groups for handler in group["hooks"]} == {
        "command"
    }


def test_a_dry_run_writes_nothing_at_all(cdesk: Cdesk, with_claude: str) -> None:
    """Not even the home."""
    settings(cdesk).write_text(THEIRS)
    done = cdesk.run("connect", "--dry-run", PATH=with_claude)
    assert done.returncode == 0 and '+  "hooks": {' in done.stdout.decode()
    assert settings(cdesk).read_text() == THEIRS and [path.name for path in cdesk.claude_dir.iterdir()] == [
        "settings.json"
    ]
    assert not cdesk.home.exists()


def test_without_a_terminal_and_without_yes_nothing_is_written(cdesk: Cdesk, with_claude: str) -> None:
    """Nobody can be asked."""
    done = cdesk.run("connect", PATH=with_claude)
    assert done.returncode == 2 and b"--yes" in done.stderr and not settings(cdesk).exists()


def test_broken_settings_are_refused_with_the_place(cdesk: Cdesk) -> None:
    """Line and column, and the file stays."""
    settings(cdesk).write_text('{\n  "model": "opus",\n}\n')
    for command in ("connect", "disconnect"):
        done = cdesk.run(command, "--yes")
        assert done.returncode == 2 and b"line 3" in done.stderr and b"nothing was changed" in done.stderr
    assert settings(cdesk).read_text() == '{\n  "model": "opus",\n}\n'


def test_a_projects_hooks_go_into_its_private_settings(cdesk: Cdesk, with_claude: str, tmp_path: Path) -> None:
    """They name this machine and hold a token: nothing for git."""
    folder = tmp_path / "project" / ".claude"
    done = cdesk.run("connect", "--yes", "--scope", "project", "--claude-dir", str(folder), PATH=with_claude)
    assert done.returncode == 0, done.stderr.decode()
    assert [path.name for path in folder.iterdir()] == ["settings.local.json"] and not settings(cdesk).exists()
    assert stat.S_IMODE((folder / "settings.local.json").stat().st_mode) == 0o600
    cdesk.run("disconnect", "--yes", "--scope", "project", "--claude-dir", str(folder))
    assert list(folder.glob("settings.local.json")) == []


def test_command_hooks_need_no_service_and_bring_no_telemetry(cdesk: Cdesk, with_claude: str) -> None:
    """A choice for people who run none: what is kept comes in with the next import."""
    cdesk.run("connect", "--yes", "--command-hooks", PATH=with_claude)
    found = json.loads(settings(cdesk).read_text())
    assert "env" not in found
    assert {
        handler["type"] for groups in found["hooks"].values() for group in groups for handler in group["hooks"]
    } == {"command"}


def test_a_hooks_facts_reach_the_warehouse_without_a_service(cdesk: Cdesk, with_claude: str) -> None:
    """connect, a hook fires, `cdesk import` brings it in."""
    import subprocess

    cdesk.run("connect", "--yes", "--command-hooks", PATH=with_claude)
    command = json.loads(settings(cdesk).read_text())["hooks"]["SessionStart"][0]["hooks"][0]["command"]
    payload = {"session_id": "s-1", "cwd": "/p", "hook_event_name": "SessionStart", "source": "startup"}
    done = subprocess.run(["sh", "-c", command], input=json.dumps(payload).encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    cdesk.text("import")
    assert cdesk.rows("SELECT activity, _source, _session_id FROM CLAUDE_STREAM_V2") == [
        ["session_started", "hook", "s-1"]
    ]
    assert list((cdesk.home / "spool").iterdir()) == []
