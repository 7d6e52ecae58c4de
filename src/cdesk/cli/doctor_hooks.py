"""What `cdesk doctor` says of the connection to Claude Code: are our hooks in its settings, and does it arrive."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from cdesk import config
from cdesk.activity.identity import activity_id
from cdesk.capture import claude_version, install, mcp_entry, plugin
from cdesk.capture.claude_version import Version
from cdesk.capture.install import Connections, Handler
from cdesk.cli.client import Client, connect
from cdesk.cli.doctor_mcp import asked
from cdesk.cli.finding import Finding, Level
from cdesk.config import Home
from cdesk.errors import CdeskError, ConfigError

ARRIVAL_SECONDS_MAX = 5.0
NEWEST: Version = (99, 0, 0)
AGAIN = "`cdesk connect` writes them anew."


def connection(home: Home, version: str | None) -> Iterator[Finding]:
    """Every settings file that we are in, the user's own first, with the server and the status line; and a test event
    through each way in."""
    mine = install.settings_path("user", None, os.environ, Path.cwd())
    known = [Path(path) for path in Connections.load(home.path).known]
    is_connected = False
    for path in dict.fromkeys([mine, *known]):
        found = list(_settings(home, path, version))
        is_connected = is_connected or any(each.level == "ok" for each in found)
        if path == mine or found[0].level != "note":
            yield from found
    yield from asked(home, mine, mcp_entry.configuration_path("user", None, os.environ))
    client = connect(home) if home.path.exists() else None
    if client is not None:
        yield from self_test(home, client, is_connected=is_connected)


def _settings(home: Home, path: Path, version: str | None) -> Iterator[Finding]:
    try:
        settings = install.standing(path)
    except ConfigError as error:
        yield Finding("problem", "hooks", error.message, error.hint)
        return
    ours = plugin.standing_hooks(home.path) if install.has_plugin(settings) else install.our_hooks(settings)
    if not ours and install.has_plugin(settings):
        yield Finding("problem", "hooks", f"the plugin's folder {home.path / install.PLUGIN_FOLDER} is gone or damaged.",
                      "`cdesk connect --plugin` writes it anew.")  # fmt: skip
        return
    if not ours:
        yield Finding(
            "note", "hooks", f"none of ours in {path}.", "`cdesk connect` lets Claude Code tell what it does."
        )
        return
    if settings.get("disableAllHooks") is True:
        yield Finding("problem", "hooks", f"{path} has disableAllHooks: none of its hooks runs.", "Take it out.")
    if not (home.path / install.COMMAND_FILE).exists():
        yield Finding("problem", "hooks", f"their program {home.path / install.COMMAND_FILE} is gone.", AGAIN)
    if dict(ours) == _wanted(home, ours, claude_version.parsed(version)):
        yield Finding("ok", "hooks", f"{len(ours)} events in {path}")
    else:
        yield Finding("problem", "hooks", f"those in {path} are for another version, port or home of cdesk.", AGAIN)


def _wanted(home: Home, ours: dict[str, Handler], version: Version | None) -> dict[str, Handler]:
    """What would be written now; where the version is not known, for the events that stand there."""
    only_commands = all(handler["type"] == "command" for handler in ours.values())
    token = install.known_token(home.path) or ""
    want = install.wanted(home.path, version or NEWEST, _port(home), token, only_commands=only_commands).hooks
    return {event: handler for event, handler in want.items() if version or event in ours}


def _port(home: Home) -> int:
    client = connect(home) if home.path.exists() else None
    return client.record.port if client else config.load(home).service.port


def self_test(home: Home, client: Client, *, is_connected: bool) -> Iterator[Finding]:
    """One event as an HTTP hook sends it, one as the command does; each has to reach the warehouse."""
    ways = {"http hook": _post} | ({"command hook": _run} if (home.path / install.COMMAND_FILE).exists() else {})
    for way, send in ways.items():
        test = f"doctor-{secrets.token_hex(6)}"
        begun = time.monotonic()
        try:
            send(home, client, json.dumps({"hook_event_name": "CdeskSelfTest", "test_id": test}).encode())
            arrived = _arrived(client, activity_id("self-test", "hook", test))
        except (OSError, http.client.HTTPException, subprocess.SubprocessError, CdeskError) as error:
            yield Finding("problem", way, f"a test event could not be sent: {error}", f"Look into {home.log}.")
            continue
        if arrived:
            yield Finding("ok", way, f"a test event was in the warehouse after {time.monotonic() - begun:.2f} s")
        else:
            level: Level = "problem" if is_connected else "note"
            yield Finding(
                level, way, f"a test event did not arrive within {ARRIVAL_SECONDS_MAX:g} s.", f"Look into {home.log}."
            )


def _post(home: Home, client: Client, payload: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.record.port, timeout=ARRIVAL_SECONDS_MAX)
    headers = {"Authorization": f"Bearer {install.known_token(home.path)}", "Content-Type": "application/json"}
    try:
        connection.request("POST", install.ROUTE, payload, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise CdeskError(f"the service answered {status}.")


def _run(home: Home, client: Client, payload: bytes) -> None:
    subprocess.run(
        ["sh", "-c", install.command_line(home.path)], input=payload, timeout=ARRIVAL_SECONDS_MAX, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _arrived(client: Client, wanted: str) -> bool:
    deadline = time.monotonic() + ARRIVAL_SECONDS_MAX
    sql = f"SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity_id = '{wanted}'"
    while time.monotonic() < deadline:
        if client.post("/v1/sql", {"sql": sql})["rows"][0][0]:
            return True
        time.sleep(0.05)
    return False
