"""Our status line goes around the person's own, and comes out again without a trace."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capture.test_install import DUMPS, HOME, NEWEST, STYLES, Settings, want

from cdesk.capture import statusline
from cdesk.errors import ConfigError

COMMANDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
THEIRS = {
    "bare": '{\n  "statusLine": {\n    "type": "command",\n    "command": "x",\n    "padding": 0\n  },\n  "model": "opus"\n}\n',
    "escapes": '{"statusLine": {"command": "echo \\u00e9 \\/ \'a\' \\"$HOME\\"; date", "type": "command"}}',
    "tight": '{"statusLine":{"type":"command","command":"a|b","refreshInterval":5},"hooks":{}}',
    "twice": '{"statusLine": 1, "statusLine": {"type": "command", "command": "x"}}',
}
WITH = replace(want(NEWEST), status_line=HOME)


def line_of(written: Settings) -> dict[str, Any]:
    return dict(written.value["statusLine"])


@pytest.mark.parametrize("text", [*STYLES.values(), *THEIRS.values()], ids=[*STYLES, *THEIRS])
def test_it_comes_out_to_the_byte(tmp_path: Path, text: str) -> None:
    """Theirs with all its members and escapes; connecting again, with or without naming it, changes nothing."""
    written = Settings(tmp_path, text)
    before = written.value.get("statusLine") if text else None
    written.connect(WITH)
    ours = line_of(written)
    assert statusline.is_ours(ours["command"]) and ours["type"] == "command"
    assert statusline.theirs(ours["command"]) == (before or {}).get("command")
    assert {**ours, "command": None} == {**(before or {"type": "command"}), "command": None}
    assert not written.connect(WITH).is_change and not written.connect().is_change
    written.disconnect()
    assert written.text == (text or "{}\n")


def test_it_stays_when_the_rest_is_connected_anew(tmp_path: Path) -> None:
    """Another port, the plugin instead: the line and the memory of theirs stay."""
    written = Settings(tmp_path, THEIRS["escapes"])
    written.connect(WITH)
    line = line_of(written)
    written.connect(replace(want(port=4999), plugin=HOME / "plugin"))
    assert line_of(written) == line and "enabledPlugins" in written.value
    written.disconnect()
    assert written.text == THEIRS["escapes"]


def test_it_is_put_in_later_too(tmp_path: Path) -> None:
    """And names the home it was connected with last."""
    written = Settings(tmp_path, THEIRS["bare"])
    written.connect()
    assert line_of(written)["command"] == "x"
    written.connect(WITH)
    written.connect(replace(WITH, status_line=Path("/else where")))
    assert "--home '/else where'" in line_of(written)["command"]
    written.disconnect()
    assert written.text == THEIRS["bare"]


@pytest.mark.parametrize("style", THEIRS)
def test_a_lost_home_is_no_loss(tmp_path: Path, style: str) -> None:
    """Theirs stands in ours."""
    written = Settings(tmp_path, THEIRS[style])
    before = written.value["statusLine"]
    written.connect(WITH)
    written.disconnect(forgotten=True)
    assert written.value["statusLine"] == before


def test_what_the_person_puts_in_its_place_is_theirs(tmp_path: Path) -> None:
    """Disconnecting leaves it; an option beside ours stays with theirs."""
    written = Settings(tmp_path, THEIRS["bare"])
    written.connect(WITH)
    written.path.write_text(json.dumps({**written.value, "statusLine": {"type": "command", "command": "new"}}))
    written.disconnect()
    assert line_of(written) == {"type": "command", "command": "new"}
    written.connect(WITH)
    written.path.write_text(json.dumps({**written.value, "statusLine": {**line_of(written), "padding": 2}}))
    written.disconnect()
    assert line_of(written) == {"type": "command", "command": "new", "padding": 2}


@pytest.mark.parametrize("odd", [None, "x", [], {}, {"type": "other"}, {"type": "command", "command": 1}])
def test_a_status_line_that_is_no_command_is_left_alone(tmp_path: Path, odd: Any) -> None:
    """Refused with the remedy when ours is asked for; otherwise it stays where it is."""
    written = Settings(tmp_path, text := json.dumps({"statusLine": odd}))
    with pytest.raises(ConfigError, match="without --statusline"):
        written.connect(WITH)
    assert written.text == text
    written.connect()
    written.disconnect()
    assert written.text == text


@pytest.mark.parametrize("near", [
    "python -m cdesk statusline --home /h", "echo '; /p -P -m cdesk statusline --home /h 2>/dev/null || :", "statusline", "'",
    f"date; {statusline.command_line(HOME, None)}", f"{statusline.command_line(HOME, 'x')} | tac", "cdesk_theirs=statusline",
])  # fmt: skip
def test_only_what_we_write_is_ours(near: str) -> None:
    """To the letter: a person may call our command in theirs."""
    assert not statusline.is_ours(near) and statusline.theirs(near) == near


@settings(max_examples=100, deadline=None)
@given(command=COMMANDS, style=DUMPS, is_ascii=st.booleans())
def test_any_command_comes_back(
    command: str, style: dict[str, Any], is_ascii: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Quotes, new lines, dollars: out of our line, and into the file as it was written."""
    assert statusline.theirs(statusline.command_line(HOME, command)) == command
    text = json.dumps({"statusLine": {"type": "command", "command": command}}, ensure_ascii=is_ascii, **style)
    written = Settings(tmp_path_factory.mktemp("any"), text)
    written.connect(WITH)
    assert statusline.theirs(line_of(written)["command"]) == command
    written.disconnect()
    assert written.text == text


def test_without_our_interpreter_theirs_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its standard input, and quietly."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "gone" / "python"))
    for theirs, said in (('cat; echo "it\'s $((1+1))"', b"given\nit's 2\n"), (None, b"")):
        command = statusline.command_line(tmp_path, theirs)
        done = subprocess.run(["/bin/sh", "-c", command], input=b"given\n", capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, b"")
