"""`cdesk up`: starts the service, reads your whole history, and says what it found."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, ServiceRecord, connect
from cdesk.cli.import_ import bar
from cdesk.cli.open import link as page_link
from cdesk.config import Home
from cdesk.errors import CdeskError, ServiceError, UsageError, WarehouseError

if TYPE_CHECKING:
    from cdesk.surface.http.collector_door import CollectorDoor

START_PATIENCE_S = 30.0


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "up", "Starts the service: back-fills every transcript it finds, then follows live ones.\n"
        "Stop it with Ctrl-C, or with `cdesk down` when detached.",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"loopback port (default {config.DEFAULT_PORT}; with --sample any)"
    )
    parser.add_argument("--detach", action="store_true", help="leave it running in the background")
    parser.add_argument("--sample", action="store_true", help="use bundled sample data, in a home of its own")
    parser.add_argument("--role", choices=("laptop", "collector"), default="laptop",
                        help="collector: also take what invited laptops send (`cdesk collector --help`)")  # fmt: skip
    parser.add_argument("--listen", metavar="HOST:PORT", help="where laptops send to (default 127.0.0.1:4610)")
    parser.add_argument("--tls-cert", metavar="FILE", help="the collector's certificate (PEM); wanted beyond loopback")
    parser.add_argument("--tls-key", metavar="FILE", help="its key (PEM)")
    parser.add_argument("--conformance-fixtures", action="store_true", help=argparse.SUPPRESS)  # docs/mcp.md
    given = parser.parse_args(arguments)
    if given.role != "collector" and (given.listen or given.tls_cert or given.tls_key):
        raise UsageError("--listen, --tls-cert and --tls-key are for --role collector.")
    home = config.sample_home() if given.sample else config.home()
    home.make()
    if given.sample:
        _prepare_sample(home)
    client = connect(home)
    if client is not None and given.conformance_fixtures:
        raise CdeskError("the service runs already, without fixtures.", "Stop it first: `cdesk down`.")
    if client is not None and given.role == "collector" and not _collects(client):
        raise CdeskError("the service runs already, and not as a collector.", "Stop it first: `cdesk down`.")
    if client is not None:
        print(f"Already running (pid {client.record.pid}, http://127.0.0.1:{client.record.port}).")
        return 0
    port = 0 if given.sample and given.port is None else given.port  # the usual one is for the real home
    door = _door(home, given) if given.role == "collector" else None
    if given.detach:
        if door is not None:
            door.close()  # a mistake is told here; it is the service in the background that listens
        return _detached(home, port, given.conformance_fixtures, _passed_on(given))
    return _serve(home, port, given.conformance_fixtures, door)


def _door(home: Home, given: argparse.Namespace) -> CollectorDoor:
    """Raises ConfigError and UsageError for what cannot be listened at."""
    from cdesk.surface.http.collector_door import CollectorDoor

    said = {name: value for name in ("listen", "tls_cert", "tls_key") if (value := getattr(given, name)) is not None}
    try:
        return CollectorDoor(msgspec.structs.replace(config.load(home).collector, **said))
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _collects(client: Client) -> bool:
    return bool((client.get("/v1/status").get("collector") or {}).get("listen"))


def _passed_on(given: argparse.Namespace) -> list[str]:
    """What the service in the background is told, too."""
    said = {"--listen": given.listen, "--tls-cert": given.tls_cert, "--tls-key": given.tls_key}
    named = [part for name, value in said.items() if value is not None for part in (name, value)]
    return ["--role", given.role, *named]


def _prepare_sample(home: Home) -> None:
    from cdesk.sample import write

    os.environ["CDESK_HOME"] = str(home.path)
    os.environ["CLAUDE_CONFIG_DIR"] = str(home.path / "claude")
    write(home.path / "claude", datetime.now(UTC))
    (home.path / config.SAMPLE_LABEL).write_text("This home holds cdesk's bundled sample data, nobody's history.\n")
    if not home.settings.exists():
        home.settings.write_text('[person]\ncustomer = "sample@cdesk.example"\n')


# -- in the background -----------------------------------------------------------------------------------------


def _detached(home: Home, port: int | None, with_fixtures: bool, passed_on: list[str]) -> int:
    command = [sys.executable, "-m", "cdesk", "up", *(["--port", str(port)] if port is not None else [])]
    command += passed_on + (["--conformance-fixtures"] if with_fixtures else [])
    home.log.touch(mode=0o600)
    with home.log.open("ab") as log:
        child = subprocess.Popen(
            command, env={**os.environ, "CDESK_HOME": str(home.path), "CDESK_DETACHED": "1"}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True, close_fds=True,
        )  # fmt: skip
    client = _wait(home, child)
    with bar() as tell:
        while not (status := client.get("/v1/status"))["backfill"]["done"]:
            tell(status["backfill"]["bytes"], status["backfill"]["bytes_total"])
            time.sleep(0.1)
    while status["queue"]["bytes"]:
        time.sleep(0.05)
        status = client.get("/v1/status")
    print(welcome(status, detached=True, page=page_link(client)))
    if with_fixtures:
        print(_fixtures(home, client.record.port))
    return 0


def _wait(home: Home, child: subprocess.Popen[bytes]) -> Client:
    deadline = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < deadline:
        client = connect(home)
        if client is not None and client.record.pid == child.pid:
            try:
                client.get("/v1/status")
                return client
            except ServiceError:
                pass
        if child.poll() is not None:
            raise CdeskError("the service did not start.", _last_line(home))
        time.sleep(0.05)
    raise ServiceError(f"the service did not answer within {START_PATIENCE_S:g} s.", f"Look into {home.log}.")


def _last_line(home: Home) -> str:
    lines = [line for line in home.log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"Look into {home.log}."


# -- in the foreground -----------------------------------------------------------------------------------------


def _serve(home: Home, port: int | None, with_fixtures: bool, door: CollectorDoor | None) -> int:
    import uvicorn

    from cdesk import observe
    from cdesk.app import App
    from cdesk.capture.backfill import Progress
    from cdesk.surface.http import service, token
    from cdesk.surface.http.lane import Lane
    from cdesk.surface.http.mcp import McpRoute

    is_detached = os.environ.get("CDESK_DETACHED") == "1"
    observe.log_to(home.log)
    settings = config.load(home)
    app = App(home, settings)
    try:
        listener = _listen(settings.service.port if port is None else port)
        bound = listener.getsockname()[1]
        progress = Progress()
        known = token.load_or_make(home.token)
        mcp = _mcp_with_fixtures() if with_fixtures else McpRoute
        guarded = service.create(app, known, bound, progress, lambda: server.should_exit, mcp)
        lane = Lane(app, guarded)
        server = uvicorn.Server(uvicorn.Config(
            _with_door(guarded, home, bound) if with_fixtures else guarded, http=lane.protocol(), log_config=None, access_log=False, lifespan="off",
            timeout_graceful_shutdown=5, server_header=False,
        ))  # fmt: skip
        if door is not None:
            door.open(app)
        _record(home, bound)
        app.start()
        app.keep_fresh()
        worker = threading.Thread(target=_backfill, args=(app, progress, is_detached, bound), daemon=True)
        worker.start()
        threading.Thread(target=lane.open, name="cdesk-lane", daemon=True).start()
        _outlive_signals()
        try:
            server.run(sockets=[listener])
        finally:
            if door is not None:
                door.close()
            lane.close()
    finally:
        _forget(home)
        app.close()
    return 0


def _mcp_with_fixtures() -> Any:
    from cdesk.surface.http.conformance.route import ConformanceRoute

    return ConformanceRoute


def _with_door(guarded: Any, home: Home, port: int) -> Any:
    from cdesk.surface.http.conformance.door import Door

    print(_fixtures(home, port), flush=True)
    return Door(guarded, home.token.read_text().strip())


def _fixtures(home: Home, port: int) -> str:
    from cdesk.surface.http.conformance.door import path

    return f"The MCP conformance suite's address: http://127.0.0.1:{port}{path(home.token.read_text().strip())}"


def _outlive_signals() -> None:
    """The server shuts down on a signal and then raises it again; by then there is still something to put away."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)


def _backfill(app: Any, progress: Any, is_detached: bool, port: int) -> None:
    from cdesk.surface.status import of_app

    if is_detached:
        app.catch_up(progress)
        return
    with bar() as tell:
        app.catch_up(progress, lambda p: tell(p.bytes, p.bytes_total))
    while app.depth().bytes:
        time.sleep(0.05)
    client = connect(app.home)
    page = page_link(client) if client is not None else ""
    with suppress(WarehouseError):  # stopped meanwhile, or in a trouble that its own words are for
        print(welcome(msgspec.to_builtins(of_app(app, port, progress)), detached=False, page=page), flush=True)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OverflowError:
        raise CdeskError(f"{port} is not a port.", "Choose one from 1 to 65535.") from None
    except OSError as error:
        raise CdeskError(
            f"port {port} cannot be used: {error.strerror}.", "Choose another: `cdesk up --port N`."
        ) from None
    return listener


def _record(home: Home, port: int) -> None:
    from cdesk.queue.disk import Disk

    record = ServiceRecord(os.getpid(), port, datetime.now(UTC).isoformat())
    Disk().replace(home.service, msgspec.json.encode(record))


def _forget(home: Home) -> None:
    home.service.unlink(missing_ok=True)


def welcome(status: dict[str, Any], *, detached: bool, page: str = "") -> str:
    """What was found, and what to do next. `page`: the link that lets a browser in."""
    backfill, activities = status["backfill"], status["warehouse"]["activities"]
    lines = [f"cdesk is running on http://127.0.0.1:{status['port']} (pid {status['pid']})."]
    if (collector := status.get("collector")) and collector["listen"]:
        invited = (
            f"{len(collector['laptops']):,} laptops are invited"
            if collector["laptops"]
            else "nobody is invited yet: `cdesk collector invite NAME`"
        )
        lines.append(f"It collects at {collector['listen']}; {invited}.")
    if status["sample"]:
        lines.insert(0, "SAMPLE DATA: nobody's history, kept apart from yours.")
    if page:
        lines.append(f"Look at it: {page}  (once, within ten minutes; then `cdesk open`)")
    if not backfill["files_total"] and not activities:
        lines.append("No Claude Code history was found yet; new sessions are recorded as they happen.")
        lines.append("To look around with bundled sample data: `cdesk up --sample`.")
        return "\n".join(lines)
    lines.append(f"Found {backfill['files_total']:,} transcripts; {activities:,} activities are in the warehouse.")
    if backfill["rejected"]:
        lines.append(
            f"{backfill['rejected']:,} lines could not be read; they are kept with their reasons (`cdesk doctor`)."
        )
    prefix = (f"CDESK_HOME={status['home']} " if status["sample"] else "") + show.called()[: -len("cdesk")]
    lines.append("What to do next:")
    lines += [f"  {prefix}cdesk {command:<14} {meaning}" for command, meaning in (
        ("usage daily", "what it cost, day by day"), ("usage project", "and by project"),
        ("doctor", "whether anything needs your attention"),
        ("down --sample" if status["sample"] else "down", "stop" if detached else "stop it from elsewhere; here Ctrl-C does"),
    )]  # fmt: skip
    return "\n".join(lines)
