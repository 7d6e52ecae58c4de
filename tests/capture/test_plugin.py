"""The plugin's folder: the same hooks and server as the plain registration, this machine's own, and gone without a trace."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.capture.test_install import want

from cdesk import __version__
from cdesk.capture import install, mcp_entry, plugin
from cdesk.capture.install import Connections, Wanted
from cdesk.cli import COMMANDS
from cdesk.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "home"
    found.mkdir(mode=0o700)
    return found


@pytest.fixture
def folder(home: Path) -> Path:
    return plugin.write(home, want().hooks, mcp_entry.server(home))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_it_holds_the_hooks_and_the_server_that_would_be_registered(home: Path, folder: Path) -> None:
    """No other ones: each event is told once, the same way."""
    assert plugin.standing_hooks(home) == dict(want().hooks)
    assert read(folder / "cdesk" / ".mcp.json") == {"mcpServers": {"cdesk": mcp_entry.server(home)}}
    assert read(folder / "cdesk" / ".claude-plugin" / "plugin.json")["version"] == __version__


def test_it_is_its_owners_alone(folder: Path) -> None:
    """The hooks name the token that facts come in with."""
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600, 0o700}
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*")) if path.is_dir()} == {0o700}
    assert [path.name for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o100] == ["cdesk"]


def test_its_program_is_this_cdesk_with_this_home(home: Path, folder: Path) -> None:
    """Whatever else is on PATH, and whatever modules the project has."""
    (home / "cdesk.py").write_text("raise SystemExit('the wrong one')")
    done = subprocess.run([folder / "cdesk" / "bin" / "cdesk", "--version"], cwd=home, capture_output=True, text=True)
    assert done.stdout == f"cdesk {__version__}\n", done.stderr


def test_its_commands_run_commands_of_cdesk(folder: Path) -> None:
    """A command that is not there would make Claude look for one."""
    names = {path.stem for path in (folder / "cdesk" / "commands").iterdir()}
    assert names == {"status", "usage", "context"} and names - {"context"} <= set(COMMANDS)
    for path in (folder / "cdesk" / "commands").iterdir():
        assert f"allowed-tools: Bash(cdesk {path.stem}:*)" in path.read_text()


def test_writing_it_again_replaces_it(home: Path, folder: Path) -> None:
    """Another port, and nothing left over."""
    before = sorted(folder.rglob("*"))
    plugin.write(home, want(port=4999).hooks, mcp_entry.server(home))
    assert sorted(folder.rglob("*")) == before
    assert ":4999/" in (folder / "cdesk" / "hooks" / "hooks.json").read_text()


def test_two_members_of_the_settings_switch_it_on(tmp_path: Path, home: Path) -> None:
    """No hooks beside it; back to plain hooks and away again, to the byte."""
    path = tmp_path / "settings.json"
    path.write_text('{\n  "enabledPlugins": {"theirs@x": true}\n}\n')
    before = path.read_text()
    wanted = Wanted(want().hooks, {}, home / install.PLUGIN_FOLDER)

    def apply(wanted: Wanted | None) -> dict[str, Any]:
        known = Connections.load(home)
        edit = install.connect(path, wanted, known, {}) if wanted else install.disconnect(path, known)
        assert edit.after is not None
        path.write_text(edit.after)
        Connections.load(home).remember(path, edit.connection)
        return dict(json.loads(edit.after))

    settings = apply(wanted)
    assert settings["enabledPlugins"] == {"theirs@x": True, "cdesk@cdesk": True} and "hooks" not in settings
    assert settings["extraKnownMarketplaces"]["cdesk"]["source"] == {
        "source": "directory",
        "path": str(home / "plugin"),
    }
    assert install.has_plugin(settings)
    assert not install.connect(path, wanted, Connections.load(home), {}).is_change
    plain = apply(Wanted(want().hooks, {}))
    assert (
        not install.has_plugin(plain)
        and "extraKnownMarketplaces" not in plain
        and len(plain["hooks"]) == len(want().hooks)
    )
    again = apply(wanted)
    assert install.has_plugin(again) and "hooks" not in again
    apply(None)
    assert path.read_text() == before


def test_a_foreign_marketplace_of_that_name_stays(tmp_path: Path, home: Path) -> None:
    """It is refused, untouched."""
    path = tmp_path / "settings.json"
    path.write_text('{"extraKnownMarketplaces": {"cdesk": {"source": {"source": "github", "repo": "a/b"}}}}')
    with pytest.raises(ConfigError, match="another plugin marketplace"):
        install.connect(path, Wanted(want().hooks, {}, home / "plugin"), Connections.load(home), {})
    assert not install.disconnect(path, Connections.load(home)).is_change


def test_what_claude_code_noted_of_it_goes_and_all_else_stays(tmp_path: Path, home: Path, folder: Path) -> None:
    """Files that are broken or not there are left alone."""
    claude = tmp_path / "claude"
    (claude / "plugins" / "cache" / "cdesk").mkdir(parents=True)
    known, installed = claude / "plugins" / "known_marketplaces.json", claude / "plugins" / "installed_plugins.json"
    known.write_text('{\n  "cdesk": {"a": 1},\n  "theirs": {"b": 2.50}\n}')
    installed.write_text("{broken")
    (claude / ".claude.json").write_text('{"pluginUsage": {"cdesk@cdesk": {"usageCount": 6}}, "userID": "u"}')
    assert plugin.forget(home, claude, claude / ".claude.json") == [known, claude / ".claude.json"]
    assert known.read_text() == '{\n  "theirs": {"b": 2.50}\n}' and installed.read_text() == "{broken"
    assert read(claude / ".claude.json") == {"userID": "u"}
    assert not folder.exists() and not (claude / "plugins" / "cache" / "cdesk").exists()
    assert plugin.forget(home, claude, claude / ".claude.json") == []


def test_it_travels_with_the_package() -> None:
    """The wheel takes the whole package, folders that begin with a dot as well."""
    root = Path(__file__).resolve().parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["packages"] == ["src/cdesk"] and plugin.SHIPPED.is_relative_to(
        root / "src" / "cdesk"
    )
    ignored = subprocess.run(
        ["git", "check-ignore", *map(str, plugin.SHIPPED.rglob("*"))],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
