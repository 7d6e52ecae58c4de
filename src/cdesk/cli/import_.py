"""`cdesk import`: reads every transcript into the warehouse, now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import CdeskError, UsageError


class Tell(Protocol):
    def __call__(self, read: int, total: int) -> None: ...


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "import", "Reads every transcript below the given Claude Code folders, whole, into the warehouse.\n"
        "Safe to repeat: what is already there stays as it is.",
    )  # fmt: skip
    parser.add_argument("--claude-dir", action="append", type=Path, metavar="DIR",
                        help="configuration folder (default: CLAUDE_CONFIG_DIR, else ~/.claude); may be repeated")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args(arguments)
    dirs = _checked(given.claude_dir)
    home = config.home()
    client = connect(home)
    with bar() as tell:
        result = _through(client, dirs, tell) if client else _here(dirs, tell)
    if given.json:
        show.json(result)
    else:
        print(_sentence(result, dirs))
    return 0


def _checked(dirs: list[Path] | None) -> list[Path] | None:
    for path in dirs or []:
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder.", "Name a Claude Code configuration folder, such as ~/.claude.")
    return [path.absolute() for path in dirs] if dirs else None


def _here(dirs: list[Path] | None, tell: Tell) -> dict[str, int]:
    from cdesk.app import open_app

    app = open_app()
    app.start()
    try:
        imported = app.import_transcripts(dirs, tell=lambda p: tell(p.bytes, p.bytes_total))
        app.settle()
    finally:
        app.close()
    return dict(msgspec.to_builtins(imported))


def _through(client: Client, dirs: list[Path] | None, tell: Tell) -> dict[str, int]:
    wanted: dict[str, Any] = {"dirs": [str(path) for path in dirs] if dirs else None}
    for line in client.stream("/v1/import", wanted):
        if "result" in line:
            return dict(line["result"])
        if "error" in line:
            raise CdeskError(line["error"])
        tell(line["progress"]["bytes"], line["progress"]["bytes_total"])
    raise CdeskError("the service stopped in the middle of the import.", "Start it again and repeat: nothing is lost.")


def _sentence(result: dict[str, int], dirs: list[Path] | None) -> str:
    if not result["files"]:
        where = ", ".join(map(str, dirs)) if dirs else "CLAUDE_CONFIG_DIR, ~/.config/claude and ~/.claude"
        return f"No transcripts found in {where}. Use Claude Code once, or try `cdesk up --sample`."
    text = (
        f"Read {result['files']:,} transcripts, {result['lines']:,} lines: "
        f"{result['activities']:,} new activities, {result['duplicates']:,} already known."
    )
    if result["rejected"]:
        text += f"\n{result['rejected']:,} lines could not be read and are kept with their reasons: `cdesk doctor`."
    return text + "\nNext: `cdesk usage daily`."


@contextmanager
def bar(label: str = "Reading transcripts") -> Iterator[Tell]:
    """A progress bar when a terminal watches, else nothing."""
    if not sys.stderr.isatty():
        yield lambda read, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda read, total: progress.update(task, completed=read, total=total)
