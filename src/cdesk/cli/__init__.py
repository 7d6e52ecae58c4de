"""The command line. Each command is a file; only the one that was asked for is imported, so that it starts fast.

Exit codes: 0 ok, 1 failure, 2 usage.
"""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS: dict[str, str] = {
    "up": "start the service: back-fill every transcript, then follow live ones",
    "open": "the page in the browser",
    "down": "stop the service",
    "status": "is it running, is it flowing, what is in it",
    "connect": "let Claude Code tell what it does: hooks and telemetry in its settings",
    "disconnect": "take them out again",
    "doctor": "check this machine and say what to do about each finding",
    "import": "read every transcript into the warehouse, now",
    "usage": "tokens and dollars by day, week, month, session, project, model, tool or user",
    "cost": "what cdesk itself costs: processor and disk here, credits in Snowflake",
    "context": "what Claude is told of a project, and where it is known from",
    "ask": "ready-made questions, each answer with a link to where it comes from",
    "explain": "what stands behind a citation: an activity, an insight, a query and its cells",
    "template": "the questions there are: list, show, review, activate, block",
    "sql": "ask the warehouse in SQL (read-only)",
    "query": "long questions, answered in the background: submit, status, rows, cancel, list",
    "artifact": "whole results that were kept: list, make, show, rows, get, link, pin, hold, rm",
    "dataset": "an activity's rows, with what happened ever, before, after or in between",
    "identity": "who did what: link, alias, remove or correct customers, and undo it",
    "scan": "which of your transcripts hold secrets (masked)",
    "queue": "what waits, and what could not be loaded",
    "drift": "what left the catalog's shape, and what to do about it",
    "insight": "what Claude and people know here: list, show, record, correct, silence, restore",
    "task": "what keeps derived tables up to date: list, run, suspend, resume, history",
    "collector": "many laptops, one warehouse: invite, list, revoke; on a laptop join, leave",
    "deploy": "tables, views and all else of a warehouse: plan, apply, verify, rollback",
    "mcp": "the MCP server that Claude asks, on standard input and output",
    "statusline": "the status line that Claude Code shows: spend today, context age",
    "emit": "add activities of your own from NDJSON on standard input",
}


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if given[0] in ("-V", "--version"):
        from cdesk import __version__

        print(f"cdesk {__version__}")
        return 0
    if given[0] not in COMMANDS:
        print(f"cdesk: unknown command {given[0]!r}. {_nearest(given[0])}", file=sys.stderr)
        return 2
    return _run(given[0], given[1:])


def _run(command: str, arguments: list[str]) -> int:
    import errno
    import os

    from cdesk.errors import CdeskError

    os.umask(0o077)  # whatever is written from here on is its owner's alone
    room = import_module(f"cdesk.cli.{command}_" if command == "import" else f"cdesk.cli.{command}")
    try:
        return int(room.run(arguments))
    except CdeskError as error:
        print(f"cdesk {command}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"cdesk {command}: no space left. Free some disk space.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("", file=sys.stderr)
        return 130


def _help() -> str:
    rows = "\n".join(f"  {name:<10} {meaning}" for name, meaning in COMMANDS.items())
    return f"""usage: cdesk COMMAND [options]

What Claude Code did, and what it cost, from your own history.

{rows}

`cdesk COMMAND --help` tells more. State lives in $CDESK_HOME (default ~/.cdesk)."""


def _nearest(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, 1)
    return f"Did you mean {near[0]!r}?" if near else "See `cdesk --help`."
