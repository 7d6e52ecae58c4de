"""What `cdesk connect` writes into Claude Code's settings, and how `cdesk disconnect` finds it again.

Hooks     one group of ours behind whatever stands under an event. Over HTTP where Claude Code calls HTTP hooks (2.1.63,
          not SessionStart and Setup) and a failure goes unseen, else the command of `hook_command.py`. Only events the
          installed version knows.
Never     WorktreeCreate and WorktreeRemove (a hook there takes the place of git's own work), MessageDisplay (between
          the model and the screen), PreToolUse and PreModelSwitch (a hook there is asked for leave; what they tell
          comes again after), PostCompact (tells nothing new), FileChanged (needs a list of files to watch), and
          PostModelSwitch (the published schema of settings does not know it yet).
Telemetry six variables in `env`, all or none: where the person's own telemetry goes elsewhere, it keeps going there.
Plugin    instead of the hooks, when it is wanted: two members that name the folder they then stand in (`plugin`).
Status    line, when it is wanted: our command around the person's own (`statusline`); once there, it stays.
Token     of its own, in `$CDESK_HOME/ingest-token`. It stands in the settings as it is, because headers can only refer
          to variables of a shell we do not own; so it opens nothing but the doors facts come in by.

What is ours is known by itself (the route, the command's file, the token's first letters), so that a lost home can
still be disconnected. `$CDESK_HOME/connections.json` remembers which containers were not there before.
"""

from __future__ import annotations

import json
import os
import py_compile
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from cdesk.capture import hook_command, statusline
from cdesk.capture.claude_version import HTTP_SINCE, Version, known_events
from cdesk.capture.settings_text import NoPlace, NotJson, SettingsText
from cdesk.errors import CdeskError, ConfigError

Scope = Literal["user", "project"]
Handler: TypeAlias = dict[str, Any]

ROUTE = "/v1/hooks/claude-code"
COMMAND_FILE = "hook/claude_code.pyc"
PLUGIN = "cdesk"
PLUGIN_FOLDER = "plugin"
MARKETPLACE_MEMBER = ("extraKnownMarketplaces", PLUGIN)
PLUGIN_MEMBER = ("enabledPlugins", f"{PLUGIN}@{PLUGIN}")
TOKEN_START = "cdesk_ingest_"  # noqa: S105 - what tokens begin with, not a token
ANSWER_TOKEN_START = "cdesk_answer_"  # noqa: S105
INGEST_ROUTES = frozenset({ROUTE, "/v1/logs", "/v1/metrics", "/v1/traces"})

HTTP_TIMEOUT_S = 0.5
COMMAND_TIMEOUT_S = 5
"""Seconds Claude Code waits at most. A service that hangs costs half a second an event; one that is only slow has the
payload by then and takes it all the same. The command ends itself after 2 s; the rest is for a busy machine to start
it."""

BACKUPS_A_SECOND_MAX = 100

COMMAND_ONLY = frozenset({"SessionStart", "Setup"})
COMMAND_BETTER = frozenset({"SessionEnd", "PermissionRequest", "Elicitation", "ElicitationResult"})
"""Rare moments at which a person looks on: an HTTP hook that gets no answer is told to them (SessionEnd on standard
error), the command never fails. At the end of a session it also keeps the fact when no service runs."""

REGISTERED = (
    "SessionStart", "Setup", "InstructionsLoaded", "UserPromptSubmit", "UserPromptExpansion", "PermissionRequest",
    "PermissionDenied", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "Notification", "SubagentStart",
    "SubagentStop", "TaskCreated", "TaskCompleted", "TeammateIdle", "Stop", "StopFailure", "PreCompact",
    "ConfigChange", "CwdChanged", "DirectoryAdded", "Elicitation", "ElicitationResult", "SessionEnd",
)  # fmt: skip

TELEMETRY_SWITCHES = (
    "CLAUDE_CODE_ENABLE_TELEMETRY", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
)  # fmt: skip
TELEMETRY_ELSEWHERE = (
    *TELEMETRY_SWITCHES, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
)  # fmt: skip
"""Any of these with a value of the person's own means that telemetry is spoken for."""


class Connection(msgspec.Struct, frozen=True):
    """What connecting one settings file brought in besides our own hooks and variables: containers, as paths, and
    the file itself; and which of the variables were not there before. status_line: the person's own command as it stood,
    a JSON string."""

    containers: list[list[str]] = msgspec.field(default_factory=list)
    variables: list[str] = msgspec.field(default_factory=list)
    is_new_file: bool = False
    status_line: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the settings should hold of ours. telemetry is empty when none is to be written. plugin: the marketplace folder
    in which the hooks stand; then the settings hold none. status_line: the home it tells of, when one is
    to be put in; one of ours that stands there stays."""

    hooks: Mapping[str, Handler]
    telemetry: Mapping[str, str]
    plugin: Path | None = None
    status_line: Path | None = None

    @property
    def members(self) -> dict[tuple[str, str], Any]:
        if self.plugin is None:
            return {}
        return {MARKETPLACE_MEMBER: marketplace(self.plugin), PLUGIN_MEMBER: True}


@dataclass(frozen=True, slots=True)
class Edit:
    """One settings file before and after. `before` is None when there is no file, `after` when there is to be none."""

    path: Path
    before: str | None
    after: str | None
    notes: tuple[str, ...] = ()
    connection: Connection | None = None

    @property
    def is_change(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Connections:
    """`connections.json` of one home. A damaged file counts as empty."""

    path: Path
    known: dict[str, Connection] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> Connections:
        path = home / "connections.json"
        try:
            return cls(path, msgspec.json.decode(path.read_bytes(), type=dict[str, Connection]))
        except (OSError, msgspec.DecodeError):
            return cls(path)

    def remember(self, settings: Path, connection: Connection | None) -> None:
        if connection is None:
            self.known.pop(str(settings), None)
        else:
            self.known[str(settings)] = connection
        replace(self.path, msgspec.json.format(msgspec.json.encode(self.known)).decode() + "\n")


# -- what is wanted ------------------------------------------------------------------------------------------------


def settings_path(scope: Scope, claude_dir: Path | None, environment: Mapping[str, str], project: Path) -> Path:
    """The user's settings, or the project's private ones: ours name this machine, so they do not belong into git."""
    if scope == "project":
        return (claude_dir or project / ".claude") / "settings.local.json"
    if claude_dir is not None:
        return claude_dir / "settings.json"
    given = environment.get("CLAUDE_CONFIG_DIR", "").split(",")[0].strip()
    return (Path(given).expanduser().absolute() if given else Path.home() / ".claude") / "settings.json"


def wanted(home: Path, version: Version | None, port: int, token: str, *, only_commands: bool) -> Wanted:
    """For this version of Claude Code. Commands alone are for people without a service: then no telemetry either."""
    command: Handler = {"type": "command", "command": command_line(home), "timeout": COMMAND_TIMEOUT_S}
    http: Handler = {
        "type": "http", "url": f"http://127.0.0.1:{port}{ROUTE}", "headers": {"Authorization": f"Bearer {token}"},
        "timeout": HTTP_TIMEOUT_S,
    }  # fmt: skip
    is_http = not only_commands and version is not None and version >= HTTP_SINCE
    known = known_events(version)
    return Wanted(
        {
            event: http if is_http and event not in COMMAND_ONLY | COMMAND_BETTER else command
            for event in REGISTERED
            if event in known
        },
        {} if only_commands else telemetry(port, token),
    )


def marketplace(folder: Path) -> dict[str, Any]:
    return {"source": {"source": "directory", "path": str(folder)}}


def telemetry(port: int, token: str) -> dict[str, str]:
    return dict(zip(TELEMETRY_SWITCHES, (
        "1", "otlp", "otlp", "http/json", f"http://127.0.0.1:{port}", f"Authorization=Bearer {token}",
    ), strict=True))  # fmt: skip


def command_line(home: Path) -> str:
    """A shell command that ends well even when our interpreter or program is gone: a missing file would be exit 2,
    which Claude Code takes for a veto."""
    program = home / COMMAND_FILE
    return f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(program))} 2>/dev/null || :"


def install_command(home: Path) -> Path:
    """Compiles the command hook into the home: as bytecode it starts a tenth faster."""
    program = home / COMMAND_FILE
    program.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    py_compile.compile(
        hook_command.__file__, str(program), doraise=True, optimize=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip
    return program


def known_token(home: Path) -> str | None:
    return _known(home / "ingest-token")


def _known(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip() or None
    except FileNotFoundError:
        return None


def ingest_token(home: Path) -> str:
    """The token that facts are brought in with: it opens `INGEST_ROUTES` and nothing else. Made when there is none."""
    return known_token(home) or _made_token(home / "ingest-token", TOKEN_START)


def answer_token(home: Path) -> str:
    """What the command hook shows to hear what Claude is told; it opens nothing. Made when there is none."""
    return _known(home / "answer-token") or _made_token(home / "answer-token", ANSWER_TOKEN_START)


def _made_token(path: Path, start: str) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = start + secrets.token_urlsafe(24)
    replace(path, made + "\n")
    return made


# -- the edits -----------------------------------------------------------------------------------------------------


def connect(path: Path, want: Wanted, connections: Connections, environment: Mapping[str, str]) -> Edit:
    """Raises ConfigError when the file is not what settings are."""
    before = settings_text(path)
    text = parsed_settings(path, before or "")
    settings = text.value()
    known = connections.known.get(str(path))
    elsewhere = _elsewhere(settings, environment) if want.telemetry else []
    notes = (_elsewhere_note(elsewhere),) if elsewhere else ()
    variables = {} if elsewhere else want.telemetry
    hooks = want.hooks if want.plugin is None else {}
    if want.plugin is not None and _member(settings, MARKETPLACE_MEMBER) and not _our_members(settings):
        raise ConfigError(
            f"{path} has another plugin marketplace called {PLUGIN}.", "Connect without --plugin; nothing was changed."
        )
    line = _status_line(path, settings, want)
    if _holds(settings, hooks, variables, want.members) and line in (None, statusline.standing(settings)):
        return Edit(path, before, before, notes, known)
    try:
        _strip(text, known)
        made = [new for event, handler in hooks.items() for new in text.append(("hooks", event), {"hooks": [handler]})]
        written = [name for name, value in variables.items() if text.get(("env", name)) != value]
        made += [new for name in written for new in text.put(("env", name), variables[name])]
        made += [new for member, value in want.members.items() for new in text.put(member, value)]
        theirs = None if line is None else _put_status_line(text, line)
    except NoPlace as error:
        raise ConfigError(f"{path}: {error}.", "Correct the file first; nothing was changed.") from None
    containers = [list(map(str, new)) for new in made if len(new) == 1 or (new[0] == "hooks" and len(new) == 2)]
    is_new_file = before is None or (known is not None and known.is_new_file)
    return Edit(path, before, text.text, notes, Connection(containers, written, is_new_file, theirs))


def _status_line(path: Path, settings: dict[str, Any], want: Wanted) -> str | None:
    """The command that is to stand there; None when it is not ours to set. Raises ConfigError."""
    standing = statusline.standing(settings)
    if want.status_line is None:
        return standing if statusline.is_ours(standing) else None
    if standing is None and statusline.MEMBER[0] in settings:
        raise ConfigError(
            f"{path} has a statusLine that is no command.", "Connect without --statusline; nothing was changed."
        )
    return statusline.command_line(want.status_line, statusline.theirs(standing))


def _put_status_line(text: SettingsText, line: str) -> str | None:
    """Gives back the text of what it takes the place of."""
    if text.get(statusline.MEMBER) is None:
        text.put(statusline.MEMBER, {"type": "command", "command": line})
        return None
    theirs = text.raw(statusline.COMMAND)
    text.put(statusline.COMMAND, line)
    return theirs


def _restore_status_line(text: SettingsText, settings: dict[str, Any], known: Connection | None) -> None:
    command = statusline.standing(settings)
    if not statusline.is_ours(command):
        return
    theirs = statusline.theirs(command)
    if theirs is None:
        text.remove(statusline.MEMBER)
    else:
        text.put(statusline.COMMAND, theirs, _same(theirs, known.status_line if known is not None else None))


def _same(value: str, raw: str | None) -> str | None:
    """The text, when it is one of this very value."""
    try:
        return raw if raw is not None and json.loads(raw) == value else None
    except ValueError:
        return None


def _holds(
    settings: dict[str, Any],
    hooks: Mapping[str, Handler],
    variables: Mapping[str, str],
    members: Mapping[tuple[str, str], Any],
) -> bool:
    """Whether all that is wanted stands there already, and nothing else of ours."""
    ours: dict[str, list[Any]] = {}
    for event, _, handler in _handlers(settings.get("hooks")):
        ours.setdefault(event, []).append(handler)
    env = _env(settings)
    is_set = all(env.get(name) == value for name, value in variables.items())
    is_plugin = {member: _member(settings, member) for member in _our_members(settings)} == members
    return ours == {event: [handler] for event, handler in hooks.items()} and is_set and is_plugin


def disconnect(path: Path, connections: Connections) -> Edit:
    """Takes out what is ours, and the containers that were made for it. Raises ConfigError."""
    before = settings_text(path)
    if before is None:
        return Edit(path, None, None)
    text = parsed_settings(path, before)
    known = connections.known.get(str(path))
    try:
        _strip(text, known)
    except NoPlace as error:
        raise ConfigError(f"{path}: {error}.", "Correct the file first; nothing was changed.") from None
    is_ours_alone = known is not None and known.is_new_file and text.value() == {}
    return Edit(path, before, None if is_ours_alone else text.text)


def standing(path: Path) -> dict[str, Any]:
    """The settings as they are; empty when there are none. Raises ConfigError."""
    return parsed_settings(path, settings_text(path) or "").value()


def our_hooks(settings: dict[str, Any]) -> dict[str, Handler]:
    """Ours among the settings' hooks, by event."""
    return {event: handler for event, _, handler in _handlers(settings.get("hooks"))}


def has_plugin(settings: dict[str, Any]) -> bool:
    """Whether our plugin is switched on there."""
    return _member(settings, PLUGIN_MEMBER) is True and MARKETPLACE_MEMBER in _our_members(settings)


def _our_members(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Those of the plugin that stand there and are ours."""
    standing = _member(settings, MARKETPLACE_MEMBER)
    source = standing.get("source") if isinstance(standing, dict) else None
    path = source.get("path") if isinstance(source, dict) else None
    if standing is not None and not (isinstance(path, str) and Path(path).name == PLUGIN_FOLDER):
        return []
    return [member for member in (MARKETPLACE_MEMBER, PLUGIN_MEMBER) if _member(settings, member) is not None]


def _member(settings: dict[str, Any], member: tuple[str, str]) -> Any:
    container = settings.get(member[0])
    return container.get(member[1]) if isinstance(container, dict) else None


def is_ours(handler: Any) -> bool:
    if not isinstance(handler, dict):
        return False
    if handler.get("type") == "http":
        url = str(handler.get("url"))
        return url.endswith(ROUTE) and url.startswith(("http://127.0.0.1:", "http://localhost:"))
    return handler.get("type") == "command" and COMMAND_FILE in str(handler.get("command"))


def _strip(text: SettingsText, known: Connection | None) -> None:
    """Without the file's own memory (`known`), containers left empty are taken for ours."""
    settings = text.value()
    _restore_status_line(text, settings, known)
    variables = _our_variables(settings)
    hooks = settings.get("hooks")
    for event, group, at in reversed(_places(hooks)):
        if not all(is_ours(handler) for handler in settings["hooks"][event][group]["hooks"]):
            text.remove(("hooks", event, group, "hooks", at))
        elif at == 0:
            text.remove(("hooks", event, group))
    events = [("hooks", event) for event in (hooks if isinstance(hooks, dict) else {})]
    for name in variables if known is None else [name for name in known.variables if name in variables]:
        text.remove(("env", name))
    for member in _our_members(settings):
        text.remove(member)
    for container in (*events, ("hooks",), ("env",), MARKETPLACE_MEMBER[:1], PLUGIN_MEMBER[:1]):
        was_ours = known is None or list(container) in known.containers
        if was_ours and _is_emptied(settings, text, container):
            text.remove(container)


def _is_emptied(before: dict[str, Any], text: SettingsText, container: tuple[str, ...]) -> bool:
    """Whether it held something before we took ours out, and holds nothing now."""
    at: Any = before
    for step in container:
        at = at.get(step) if isinstance(at, dict) else None
    return bool(at) and text.get(container) in ({}, [])


def _places(hooks: Any) -> list[tuple[str, int, int]]:
    """Event, group and handler positions of ours."""
    found = []
    for event, groups in hooks.items() if isinstance(hooks, dict) else ():
        for number, group in enumerate(groups if isinstance(groups, list) else []):
            handlers = group.get("hooks") if isinstance(group, dict) else None
            for at, handler in enumerate(handlers if isinstance(handlers, list) else []):
                if is_ours(handler):
                    found.append((event, number, at))
    return found


def _handlers(hooks: Any) -> list[tuple[str, int, Any]]:
    return [(event, group, hooks[event][group]["hooks"][at]) for event, group, at in _places(hooks)]


def _our_variables(settings: dict[str, Any]) -> list[str]:
    """The telemetry variables that are as we write them; none unless the token among them is ours."""
    env = _env(settings)
    if TOKEN_START not in str(env.get("OTEL_EXPORTER_OTLP_HEADERS")):
        return []
    ours = telemetry(0, "")
    return [
        name for name in TELEMETRY_SWITCHES
        if env.get(name) == ours[name] or (name in TELEMETRY_SWITCHES[-2:] and name in env)
    ]  # fmt: skip


def _env(settings: dict[str, Any]) -> dict[str, Any]:
    found = settings.get("env")
    return found if isinstance(found, dict) else {}


def _elsewhere(settings: dict[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Variables by which the person's telemetry goes elsewhere already, here or in the shell."""
    env = _env(settings)
    if TOKEN_START in str(env.get("OTEL_EXPORTER_OTLP_HEADERS")):
        return []
    expected = telemetry(0, "")
    del expected["OTEL_EXPORTER_OTLP_ENDPOINT"], expected["OTEL_EXPORTER_OTLP_HEADERS"]
    names = [name for name in TELEMETRY_ELSEWHERE if name in env and env[name] != expected.get(name)]
    if TOKEN_START in environment.get("OTEL_EXPORTER_OTLP_HEADERS", ""):
        return names
    shell = [name for name in TELEMETRY_ELSEWHERE if name in environment and environment[name] != expected.get(name)]
    return names or [f"{name} (in the environment)" for name in shell]


def _elsewhere_note(names: list[str]) -> str:
    return (
        f"Telemetry is left as it is, because it is set already: {', '.join(names)}. Hooks and transcripts do without; "
        "to send it here, take those out and connect again."
    )


# -- files ---------------------------------------------------------------------------------------------------------


def settings_text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}.", "Nothing was changed.") from None


def parsed_settings(path: Path, text: str) -> SettingsText:
    try:
        return SettingsText(text)
    except NotJson as error:
        raise ConfigError(
            f"{path} is not valid JSON: {error}.", "Claude Code cannot read it either. Correct it first; nothing was changed."
        ) from None  # fmt: skip


def write(edit: Edit, now: datetime) -> Path | None:
    """Carries the edit out; gives back the backup's path. Raises CdeskError, having changed nothing."""
    try:
        if settings_text(edit.path) != edit.before:
            raise CdeskError(f"{edit.path} was changed by somebody else meanwhile.", "Nothing was changed; try again.")
        backup = None
        if edit.before is not None:
            backup = _free(edit.path.with_name(f"{edit.path.name}.before-cdesk-{now:%Y%m%dT%H%M%S}Z"))
            replace(backup, edit.before, _mode(edit.path))
        if edit.after is None:
            edit.path.unlink(missing_ok=True)
        else:
            replace(edit.path, edit.after, _mode(edit.path))
        return backup
    except OSError as error:
        raise CdeskError(f"cannot write {edit.path}: {error.strerror}.", "Check its permissions.") from None


def _free(path: Path) -> Path:
    """The path, numbered where it is taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in range(2, BACKUPS_A_SECOND_MAX))
    return next((free for free in (path, *numbered) if not free.exists()), path)


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """The whole file changes at once, durably, or not at all. A link stays a link."""
    real = path.resolve()
    real.parent.mkdir(parents=True, exist_ok=True)
    beside = real.with_name(f".{real.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        beside.replace(real)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return 0o600
