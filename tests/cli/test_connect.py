"""`cdesk connect` and `cdesk disconnect`, as a person runs them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk

from cdesk.capture.install import Edit
from cdesk.cli import connect

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


# -- the MCP server and the plugin ---------------------------------------------------------------------------------


def everything(cdesk: Cdesk) -> dict[str, bytes]:
    """Every file of Claude Code's, but for backups."""
    return {
        str(path.relative_to(cdesk.claude_dir)): path.read_bytes()
        for path in sorted(cdesk.claude_dir.rglob("*")) if path.is_file() and ".before-cdesk-" not in path.name
    }  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--plugin",), ("--command-hooks",), ("--plugin", "--command-hooks")])
def test_what_connect_brought_goes_with_disconnect(cdesk: Cdesk, with_claude: str, options: tuple[str, ...]) -> None:
    """Hooks and server stand in one place or the other; both differences are shown, and both files kept a backup of."""
    settings(cdesk).write_text(THEIRS)
    (cdesk.claude_dir / ".claude.json").write_text('{"userID": "u", "mcpServers": {"theirs": {"command": "x"}}}')
    before = everything(cdesk)
    done = cdesk.run("connect", "--yes", *options, PATH=with_claude)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(settings(cdesk).read_text())
    servers = json.loads((cdesk.claude_dir / ".claude.json").read_text())["mcpServers"]
    is_plugin = "--plugin" in options
    assert ("hooks" in found, "cdesk" in servers, "enabledPlugins" in found) == (
        not is_plugin,
        not is_plugin,
        is_plugin,
    )
    assert (cdesk.home / "plugin").exists() == is_plugin
    assert len(list(cdesk.claude_dir.glob("*.before-cdesk-*"))) == (1 if is_plugin else 2)
    assert "nothing to change" in cdesk.run("connect", "--yes", *options, PATH=with_claude).stdout.decode()
    assert cdesk.run("disconnect", "--yes").returncode == 0
    assert everything(cdesk) == before and not (cdesk.home / "plugin").exists()


def test_plain_and_plugin_take_each_others_place(cdesk: Cdesk, with_claude: str) -> None:
    """Never both at once: each event is told once."""
    for options, is_plugin in (((), False), (("--plugin",), True), ((), False)):
        done = cdesk.run("connect", "--yes", *options, PATH=with_claude)
        assert done.returncode == 0, done.stderr.decode()
        found = json.loads(settings(cdesk).read_text())
        configuration = cdesk.claude_dir / ".claude.json"
        has_server = configuration.exists() and "mcpServers" in json.loads(configuration.read_text())
        assert ("hooks" in found, has_server, "enabledPlugins" in found) == (not is_plugin, not is_plugin, is_plugin)
        assert (cdesk.home / "plugin").exists() == is_plugin
    assert cdesk.run("disconnect", "--yes").returncode == 0
    assert everything(cdesk) == {}


def test_the_plugin_is_the_persons_not_a_projects(cdesk: Cdesk, with_claude: str) -> None:
    """One line, and nothing written."""
    done = cdesk.run("connect", "--yes", "--plugin", "--scope", "project", PATH=with_claude)
    assert done.returncode == 2 and b"--scope" in done.stderr and everything(cdesk) == {}


def test_a_line_that_a_machine_wrote_is_not_shown_whole(cdesk: Cdesk, with_claude: str) -> None:
    """Claude Code's configuration holds more than servers."""
    secret = "sk-ant-" + "x" * 40
    (cdesk.claude_dir / ".claude.json").write_text(json.dumps({"a": "b" * 500, "primaryApiKey": secret}))
    told = cdesk.run("connect", "--yes", PATH=with_claude).stdout.decode()
    assert secret not in told and max(map(len, told.splitlines())) < 500


def test_what_a_session_writes_while_a_person_reads_stays(
    cdesk: Cdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claude Code writes its configuration at any time."""
    for name, value in {"HOME": tmp_path, "CDESK_HOME": cdesk.home, "CLAUDE_CONFIG_DIR": cdesk.claude_dir}.items():
        monkeypatch.setenv(name, str(value))
    configuration = cdesk.claude_dir / ".claude.json"
    configuration.write_text('{"numStartups": 1}')

    def agreed(edits: list[Edit]) -> bool:
        configuration.write_text('{"numStartups": 2}')
        return True

    monkeypatch.setattr(connect, "_agreed", agreed)
    assert connect.run([]) == 0
    found = json.loads(configuration.read_text())
    assert found["numStartups"] == 2 and "cdesk" in found["mcpServers"]
