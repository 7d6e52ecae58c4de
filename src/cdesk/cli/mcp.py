"""`cdesk mcp`: the MCP server of one session, on standard input and output. MCP clients start it, people do not."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdesk.config import Home
    from cdesk.surface.mcp.local import Service

PATIENCE_S = 15.0
"""A service that hangs is not waited for longer."""


def run(arguments: list[str]) -> int:
    if arguments:
        return _told(arguments)
    from cdesk.surface.mcp.lines import Lines
    from cdesk.surface.mcp.protocol import MESSAGE_BYTES_MAX
    from cdesk.surface.mcp.stdio import Session

    said = sys.stdout.fileno()
    sys.stdout = sys.stderr  # whatever prints by mistake does not print there
    lines = Lines(sys.stdin.fileno(), MESSAGE_BYTES_MAX)
    signal.set_wakeup_fd(lines.wakeup, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the lines end; there is still something to put away
    session = Session(_service, into=said)
    try:
        session.run(lines)
    finally:
        session.close()
    return 0


def _service(home: Home) -> Service | None:
    from cdesk.cli.client import connect

    return connect(home, PATIENCE_S)


def _told(arguments: list[str]) -> int:
    from cdesk.cli import show

    show.parser(
        "mcp",
        "The Model Context Protocol server, on standard input and output: a JSON-RPC message a line, logs to standard\n"
        "error. MCP clients start it; it ends when they close its input. Contexts come from the cache on disk and\n"
        "insights go into the queue, service or not; other questions are passed to the running service.\n\n"
        "example:\n  claude mcp add cdesk -- cdesk mcp",
    ).parse_args(arguments)
    return 0
