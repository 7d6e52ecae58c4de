"""Connecting adds what is ours to Claude Code's settings and disconnecting takes it out; nothing else ever changes."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shared_data import shared_data

from cdesk.capture import install
from cdesk.capture.claude_version import FIRST_VERSION, OLDEST_EVENTS, Version, known_events, parsed
from cdesk.capture.install import COMMAND_BETTER, COMMAND_ONLY, REGISTERED, Connections, Edit, Wanted
from cdesk.capture.settings_text import SettingsText
from cdesk.errors import CdeskError, ConfigError

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NEWEST: Version = (2, 1, 330)
HOME = Path("/home/ada/.cdesk")
TOKEN = f"{install.TOKEN_START}abc"
NEVER = {"WorktreeCreate", "WorktreeRemove", "MessageDisplay", "PreToolUse", "PreModelSwitch"}

STYLES = {
    "nothing": "",
    "empty": "{}",
    "two spaces": '{\n  "model": "opus",\n  "permissions": {"allow": ["Bash(git *)"], "deny": []}\n}\n',
    "four spaces": '{\n    "b": 1.50,\n    "a": [1,2 , 3],\n    "text": "\\u00e9\\/ é"\n}',
    "tabs": '{\n\t"model": "opus",\n\t"env": {\n\t\t"FOO": "1"\n\t}\n}\n',
    "windows": '{\r\n  "model": "opus",\r\n  "env": {\r\n    "FOO": "1"\r\n  }\r\n}\r\n',
    "one line": '{"model": "opus", "env": {"FOO": "1"}}',
    "tight": '{"model":"opus","hooks":{"Stop":[{"hooks":[{"type":"command","command":"say done"}]}]}}',
    "byte order mark": '\ufeff{\n  "model": "opus"\n}\n',
    "empty containers": '{\n  "hooks": {},\n  "env": {}\n}\n',
    "empty event": '{\n  "hooks": {\n    "Stop": []\n  }\n}\n',
    "theirs": json.dumps({"hooks": {
        "Stop": [{"hooks": [{"type": "command", "command": "say done"}]}],
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "http", "url": "http://127.0.0.1:9/mine"}]}],
        "PostToolUse": [{"matcher": "Edit|Write", "hooks": [{"type": "command", "command": "fmt", "timeout": 9}]}],
    }, "env": {"FOO": "1"}, "statusLine": {"type": "command", "command": "x"}}, indent=2) + "\n",
}  # fmt: skip


def want(version: Version | None = NEWEST, port: int = 4740, *, only_commands: bool = False) -> Wanted:
    return install.wanted(HOME, version, port, TOKEN, only_commands=only_commands)


class Settings:
    """One settings file and one home."""

    def __init__(self, folder: Path, text: str | None) -> None:
        self.folder = folder
        self.path = folder / "settings.json"
        self.environment: dict[str, str] = {}
        if text is not None:
            self.path.write_bytes(text.encode())

    def connect(self, wanted: Wanted | None = None) -> Edit:
        connections = Connections.load(self.folder)
        edit = install.connect(self.path, wanted or want(), connections, self.environment)
        if edit.is_change:
            install.write(edit, NOW)
            connections.remember(self.path, edit.connection)
        return edit

    def disconnect(self, *, forgotten: bool = False) -> Edit:
        connections = Connections(self.folder / "lost.json") if forgotten else Connections.load(self.folder)
        edit = install.disconnect(self.path, connections)
        if edit.is_change:
            install.write(edit, NOW)
            connections.remember(self.path, None)
        return edit

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    @property
    def value(self) -> dict[str, Any]:
        return dict(json.loads(self.text.lstrip("\ufeff")))


@pytest.fixture(params=STYLES, ids=list(STYLES))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(tmp_path, STYLES[request.param])


def without_ours(value: dict[str, Any]) -> dict[str, Any]:
    hooks = {
        event: kept for event, groups in value.get("hooks", {}).items()
        if (kept := [group for group in groups if not all(map(install.is_ours, group["hooks"]))]) or event not in REGISTERED
    }  # fmt: skip
    env = {name: text for name, text in value.get("env", {}).items() if name not in install.TELEMETRY_SWITCHES}
    return {**value, "hooks": hooks, "env": env}


# -- what is written -----------------------------------------------------------------------------------------------


def test_everything_else_stays_as_it_was(written: Settings) -> None:
    """By value, by order of keys, and line by line: a line that is gone was only given a comma."""
    before = written.text
    value = json.loads(before.lstrip("\ufeff") or "{}")
    written.connect()
    assert without_ours(written.value) == {"hooks": {}, "env": {}, **without_ours(value)}
    assert [key for key in written.value if key in value] == list(value)
    if "\n" in before.strip() and "{}" not in before and '"Stop": []' not in before:
        after = written.text.splitlines()
        assert all(line in after or f"{line}," in after or line in ("{}", "}") for line in before.splitlines())


def test_connecting_again_changes_nothing(written: Settings) -> None:
    """Not a byte, and no second backup."""
    written.connect()
    after, backups = written.text, sorted(written.folder.iterdir())
    assert not written.connect().is_change
    assert (written.text, sorted(written.folder.iterdir())) == (after, backups)


def test_disconnecting_gives_back_every_byte(written: Settings) -> None:
    """Indentation, line ends, escapes, empty containers: as before."""
    before = written.text
    written.connect()
    assert written.text != before
    written.disconnect()
    assert written.text == (before or "{}\n")


def test_disconnecting_without_our_memory_takes_out_what_is_ours(written: Settings) -> None:
    """The home was lost; containers left empty go as well."""
    value = json.loads(written.text.lstrip("\ufeff") or "{}")
    written.connect()
    written.disconnect(forgotten=True)
    assert without_ours(written.value) == {"hooks": {}, "env": {}, **without_ours(value)} or written.value == {
        key: item for key, item in value.items() if key not in ("hooks", "env")
    }
    assert install.our_hooks(written.value) == {}


def test_the_style_is_the_persons_own(tmp_path: Path) -> None:
    """Tabs stay tabs, one line stays one line, Windows line ends stay."""
    for style, sign in (("tabs", '\n\t\t"Setup": [\n'), ("one line", '"Setup": [{"hooks"'), ("windows", '\r\n    "Setup": [\r\n'),
                        ("four spaces", '\n        "Setup": [\n'), ("tight", '"Setup":[{"hooks":')):  # fmt: skip
        folder = tmp_path / style
        folder.mkdir()
        settings = Settings(folder, STYLES[style])
        settings.connect()
        assert sign in settings.text, style
        assert ("\n" in settings.text) == ("\n" in STYLES[style])


def test_a_new_file_is_made_and_taken_away_again(tmp_path: Path) -> None:
    """Readable by its owner only: it holds a token."""
    settings = Settings(tmp_path, None)
    edit = settings.connect()
    assert edit.before is None and settings.path.stat().st_mode & 0o777 == 0o600
    settings.disconnect()
    assert not settings.path.exists()


def test_what_the_person_adds_in_between_stays(tmp_path: Path) -> None:
    """Keys, hooks behind ours, an own variable."""
    settings = Settings(tmp_path, STYLES["two spaces"])
    settings.connect()
    value = settings.value
    value["hooks"]["Stop"].append({"hooks": [{"type": "command", "command": "mine"}]})
    value["hooks"]["Stop"][0]["hooks"].append({"type": "command", "command": "beside"})
    value["env"]["MINE"] = "1"
    value["model"] = "sonnet"
    settings.path.write_text(json.dumps(value, indent=2))
    assert not settings.connect().is_change
    settings.disconnect()
    assert settings.value == {
        **json.loads(STYLES["two spaces"]), "model": "sonnet", "env": {"MINE": "1"},
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "beside"}]},
                           {"hooks": [{"type": "command", "command": "mine"}]}]},
    }  # fmt: skip


def test_another_port_or_version_replaces_what_was_ours(tmp_path: Path) -> None:
    """One set of hooks, never two; and the way back is still the whole way."""
    settings = Settings(tmp_path, STYLES["theirs"])
    settings.connect()
    settings.connect(want(port=5000))
    assert "4740" not in settings.text and "5000" in settings.text
    assert len(install.our_hooks(settings.value)) == len(want().hooks)
    settings.connect(want((2, 0, 76)))
    assert set(install.our_hooks(settings.value)) == known_events((2, 0, 76)) & set(REGISTERED)
    settings.connect(want(only_commands=True))
    assert not any(name in settings.value["env"] for name in install.TELEMETRY_SWITCHES)
    settings.disconnect()
    assert settings.text == STYLES["theirs"]


@pytest.mark.parametrize("broken", ["{", '{"a": 1,}', "// comment\n{}", "[]", '"text"', '{"hooks": []}', '{"hooks": {"Stop": {}}}',
                                    '{"env": "no"}', '{"hooks": "no"}', "\x00", "{" * 100_000])  # fmt: skip
def test_a_file_that_is_not_settings_is_refused_untouched(tmp_path: Path, broken: str) -> None:
    """With its name and the reason."""
    settings = Settings(tmp_path, broken)
    with pytest.raises(ConfigError, match=r"settings\.json"):
        settings.connect()
    assert settings.text == broken and [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_a_key_that_stands_twice_counts_the_last_time(tmp_path: Path) -> None:
    """As Claude Code reads it."""
    settings = Settings(tmp_path, '{\n  "env": {"A": "1"},\n  "env": {"B": "2"}\n}\n')
    settings.connect()
    assert settings.value["env"]["B"] == "2" and "CLAUDE_CODE_ENABLE_TELEMETRY" in settings.value["env"]


def test_a_backup_is_kept_and_modes_and_links_stay(tmp_path: Path) -> None:
    """People keep their settings among their dotfiles."""
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "claude.json"
    real.write_text(STYLES["theirs"])
    real.chmod(0o640)
    settings = Settings(tmp_path, None)
    settings.path.symlink_to(real)
    edit = settings.connect()
    assert settings.path.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    (backup,) = tmp_path.glob("settings.json.before-cdesk-*")
    assert backup.read_text() == STYLES["theirs"] == edit.before
    settings.disconnect()
    assert real.read_text() == STYLES["theirs"] and len(list(tmp_path.glob("settings.json.before-cdesk-*"))) == 2


def test_a_file_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Claude Code writes it, too."""
    settings = Settings(tmp_path, STYLES["theirs"])
    edit = install.connect(settings.path, want(), Connections.load(tmp_path), {})
    settings.path.write_text('{"model": "new"}')
    with pytest.raises(CdeskError, match="changed"):
        install.write(edit, NOW)
    assert settings.text == '{"model": "new"}'


# -- which events, how ---------------------------------------------------------------------------------------------


def test_what_must_never_be_registered_is_not() -> None:
    """Whatever the version."""
    for version in (None, (1, 0, 85), (2, 1, 100), NEWEST, (9, 9, 9)):
        assert not NEVER & set(want(version).hooks)


@pytest.mark.parametrize(
    "version", [(1, 0, 54), (1, 0, 128), (2, 0, 76), (2, 1, 62), (2, 1, 63), (2, 1, 100), (2, 1, 101), NEWEST]
)
def test_only_events_the_version_knows_are_registered(version: Version) -> None:
    """Up to 2.1.100 one unknown name kills every hook."""
    hooks = want(version).hooks
    assert all(FIRST_VERSION[event] <= version for event in hooks)
    commands = COMMAND_ONLY | COMMAND_BETTER
    assert {handler["type"] for event, handler in hooks.items() if event in commands} == {"command"} or version < (
        1,
        0,
        62,
    )
    others = {handler["type"] for event, handler in hooks.items() if event not in commands}
    assert others == ({"http"} if version >= (2, 1, 63) else {"command"})


def test_an_unknown_version_gets_the_nine_that_all_know() -> None:
    """As commands, since HTTP may not be known."""
    hooks = want(None).hooks
    assert set(hooks) == set(REGISTERED) & OLDEST_EVENTS and len(hooks) == 8
    assert {handler["type"] for handler in hooks.values()} == {"command"}


def test_events_of_the_newest_version() -> None:
    """Everything recorded there that states a fact and asks for no leave."""
    assert set(want().hooks) == set(REGISTERED) and len(REGISTERED) == 25


def test_every_hook_has_a_short_timeout() -> None:
    """Seconds. A hung service costs it."""
    for version in (None, NEWEST):
        assert all(0 < handler["timeout"] <= 5 for handler in want(version).hooks.values())


def test_no_secret_stands_in_a_command_line() -> None:
    """Transcripts quote hooks' command lines."""
    for wanted in (want(), want(None), want(only_commands=True)):
        assert not any(TOKEN in handler.get("command", "") for handler in wanted.hooks.values())


@pytest.mark.parametrize("text", ["2.1.330", "2.1.330-beta.1", "1.0.128"])
def test_versions_are_read(text: str) -> None:
    version = parsed(text)
    assert version is not None and ".".join(map(str, version)) == text.split("-")[0]


@pytest.mark.parametrize("text", [None, "", "2.1", "x.y.z", "2.1.x"])
def test_what_is_no_version_is_unknown(text: str | None) -> None:
    assert parsed(text) is None


# -- telemetry -----------------------------------------------------------------------------------------------------


def test_telemetry_is_sent_here_where_nobody_else_has_it(tmp_path: Path) -> None:
    """Six variables, the token among them, none of which may log contents."""
    settings = Settings(tmp_path, STYLES["tabs"])
    settings.connect()
    assert settings.value["env"] == {"FOO": "1", **install.telemetry(4740, TOKEN)}
    assert not any("LOG_" in name or name == "OTEL_TRACES_EXPORTER" for name in settings.value["env"])


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                                  "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_PROTOCOL"])  # fmt: skip
@pytest.mark.parametrize("where", ["file", "environment"])
def test_telemetry_that_goes_elsewhere_stays_there(tmp_path: Path, name: str, where: str) -> None:
    """All or nothing, and it is said; hooks are written all the same."""
    settings = Settings(tmp_path, json.dumps({"env": {name: "https://theirs"}}) if where == "file" else None)
    if where == "environment":
        settings.environment = {name: "https://theirs"}
    edit = settings.connect()
    assert any(name in note for note in edit.notes)
    assert settings.value.get("env", {}) == ({name: "https://theirs"} if where == "file" else {})
    assert install.our_hooks(settings.value)


def test_a_switch_the_person_had_stays_when_we_go(tmp_path: Path) -> None:
    """Same value as ours, so it is no conflict; still theirs."""
    text = '{\n  "env": {\n    "CLAUDE_CODE_ENABLE_TELEMETRY": "1"\n  }\n}\n'
    settings = Settings(tmp_path, text)
    settings.connect()
    assert settings.value["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4740"
    settings.disconnect()
    assert settings.text == text


# -- against the published schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, (2, 0, 76), (2, 1, 100), NEWEST])
@pytest.mark.parametrize("only_commands", [False, True])
def test_the_result_is_valid_settings(tmp_path: Path, version: Version | None, only_commands: bool) -> None:
    """SchemaStore's schema of Claude Code's settings."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((shared_data("schemastore-claude/src/schemas/json/claude-code-settings.json")).read_text())
    for style in ("nothing", "theirs", "tight"):
        folder = tmp_path / style
        folder.mkdir()
        settings = Settings(folder, STYLES[style])
        settings.connect(want(version, only_commands=only_commands))
        jsonschema.validate(settings.value, schema)


def test_the_schemas_own_examples_survive(tmp_path: Path) -> None:
    """Whatever real settings look like: connect and disconnect give back every byte."""
    for path in sorted((shared_data("schemastore-claude/src/test/claude-code-settings")).glob("*.json")):
        folder = tmp_path / path.stem
        folder.mkdir()
        settings = Settings(folder, path.read_text())
        settings.connect(want(only_commands=True))
        settings.disconnect()
        assert settings.text == path.read_text(), path.name


# -- the files in the home -----------------------------------------------------------------------------------------


def test_the_token_is_made_once_and_is_nobodys_elses(tmp_path: Path) -> None:
    """0600, and recognisable."""
    token = install.ingest_token(tmp_path / "home")
    assert token.startswith(install.TOKEN_START) and install.ingest_token(tmp_path / "home") == token
    assert (tmp_path / "home" / "ingest-token").stat().st_mode & 0o777 == 0o600


def test_a_damaged_memory_counts_as_none(tmp_path: Path) -> None:
    """Then what looks like ours is ours."""
    (tmp_path / "connections.json").write_text("{nonsense")
    assert Connections.load(tmp_path).known == {}


def test_the_settings_path_follows_claude_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLAUDE_CONFIG_DIR, else ~/.claude; a project's own settings are its private ones."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert install.settings_path("user", None, {}, Path("/p")) == tmp_path / ".claude" / "settings.json"
    assert install.settings_path("user", None, {"CLAUDE_CONFIG_DIR": "/c"}, Path("/p")) == Path("/c/settings.json")
    assert install.settings_path("user", Path("/d"), {"CLAUDE_CONFIG_DIR": "/c"}, Path("/p")) == Path(
        "/d/settings.json"
    )
    assert install.settings_path("project", None, {}, Path("/p")) == Path("/p/.claude/settings.local.json")


# -- any settings at all -------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
GROUPS = st.lists(st.fixed_dictionaries({"hooks": st.lists(st.fixed_dictionaries({"type": st.just("command"), "command": st.text()}), max_size=2)}), max_size=2)  # fmt: skip
OBJECTS = st.fixed_dictionaries({}, optional={
    "hooks": st.dictionaries(st.sampled_from(["Stop", "PreToolUse", "SessionStart", "Setup"]), GROUPS, max_size=3),
    "env": st.dictionaries(st.sampled_from(["FOO", "BAR"]), st.text(max_size=5), max_size=2),
    "model": VALUES, "other": VALUES,
})  # fmt: skip
DUMPS = st.sampled_from([{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {}, {"separators": (",", ":")}, {"indent": 0}])


@settings(max_examples=150, deadline=None)
@given(value=OBJECTS, style=DUMPS, tail=st.sampled_from(["", "\n"]), only_commands=st.booleans())
def test_any_settings_come_back_to_the_byte(
    value: dict[str, Any], style: dict[str, Any], tail: str, only_commands: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:  # fmt: skip
    """Connect, connect again, disconnect: valid JSON all the way, theirs untouched, and in the end the same bytes."""
    text = json.dumps(value, **style) + tail
    settings = Settings(tmp_path_factory.mktemp("any"), text)
    settings.connect(want(only_commands=only_commands))
    assert without_ours(settings.value) == {"hooks": {}, "env": {}, **without_ours(value)}
    assert not settings.connect(want(only_commands=only_commands)).is_change
    settings.disconnect()
    assert settings.text == text


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.text(max_size=4), VALUES, max_size=3), style=DUMPS, key=st.text(max_size=4), new=VALUES)
def test_a_member_put_in_is_the_only_difference(
    value: dict[str, Any], style: dict[str, Any], key: str, new: Any
) -> None:
    """The text editor alone, on any object."""
    text = SettingsText(json.dumps(value, **style))
    text.put((key,), new)
    assert text.value() == {**value, key: new}
    assert list(text.value()) == list({**value, key: new})


def test_a_folder_that_cannot_be_is_a_clear_failure(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    settings = Settings(tmp_path, "{}")
    edit = install.connect(settings.path, want(), Connections.load(tmp_path), {})
    blocked = Edit(tmp_path / "file" / "settings.json", None, edit.after)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises((CdeskError, ConfigError)):
        install.write(blocked, NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "settings.json"]
