"""`cdesk scan`: which of your transcripts hold secrets. Shows where and of what kind, never the secret."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from cdesk import config
from cdesk.capture.scan import Sighting, scan
from cdesk.capture.transcript import claude_dirs, find
from cdesk.cli import show
from cdesk.cli.import_ import bar
from cdesk.errors import UsageError
from cdesk.governance.key import load_or_make_key

PLACES_SHOWN = 3


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "scan",
        "Looks for secrets in the transcripts that Claude Code keeps. What cdesk stores is redacted; its sources are\n"
        "not. Shows file, line and kind; equal secrets have equal fingerprints. Changes nothing.",
    )
    parser.add_argument(
        "--claude-dir", action="append", type=Path, metavar="DIR", help="folder to look in; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help='print {"files", "secrets", "sightings"}')
    given = parser.parse_args(arguments)
    for path in given.claude_dir or []:
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder.", "Name a Claude Code configuration folder, such as ~/.claude.")
    dirs = given.claude_dir or claude_dirs(os.environ, Path.home())
    paths = [path for folder in dirs for path in find(folder)]
    sightings = _scan(paths)
    if given.json:
        secrets = len({(found.rule, found.fingerprint) for found in sightings})
        show.json({"files": len(paths), "secrets": secrets, "sightings": [asdict(found) for found in sightings]})
    else:
        _show(paths, sightings)
    return 0


def _scan(paths: list[Path]) -> list[Sighting]:
    from cdesk.governance.redaction import Redactor

    home = config.home()
    home.make()
    total = sum(path.stat().st_size for path in paths if path.exists())
    read = 0
    with bar("Looking for secrets") as tell:

        def add(count: int) -> None:
            nonlocal read
            read += count
            tell(read, total)

        return list(scan(paths, Redactor(load_or_make_key(home.key)).line, add))


def _show(paths: list[Path], sightings: list[Sighting]) -> None:
    if not sightings:
        print(f"No secrets seen in {len(paths):,} transcripts.")
        return
    places: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for found in sightings:
        places[found.rule, found.fingerprint].append(found)
    rows = []
    for (rule, fingerprint), seen in sorted(places.items(), key=lambda item: -len(item[1])):
        where = list(dict.fromkeys(f"{one.path}:{one.line}" for one in seen))
        shown = "\n".join(where[:PLACES_SHOWN])
        more = f"\n… {len(where) - PLACES_SHOWN:,} more lines" if len(where) > PLACES_SHOWN else ""
        rows.append([rule, fingerprint, f"{len(seen):,}", shown + more])
    show.table(
        f"Secrets in {len({found.path for found in sightings}):,} of {len(paths):,} transcripts",
        ["kind", "fingerprint", "times", "where"],
        rows,
        right=(2,),
        note="Change the secrets that still work. cdesk's own copy holds only these marks.",
    )
