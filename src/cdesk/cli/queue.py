"""`cdesk queue`: what waits, and what could not be loaded."""

from __future__ import annotations

import argparse
from typing import Any

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import running
from cdesk.errors import CdeskError, UsageError
from cdesk.queue import DeadLetters, Kept

LETTERS_SHOWN = 50
LINE_SHOWN = 2_000


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "queue",
        "What waits in the queue, and the lines set aside because they could not be loaded.\n\n"
        "  cdesk queue status\n  cdesk queue dead list\n  cdesk queue dead show ID\n"
        "  cdesk queue dead replay [ID ...]    load them again, after mending what was wrong\n"
        "  cdesk queue dead drop ID ... | --all",
    )
    parser.add_argument("what", choices=("status", "dead"))
    parser.add_argument("act", nargs="?", choices=("list", "show", "replay", "drop"), default="list")
    parser.add_argument("ids", nargs="*", metavar="ID", help="as `dead list` shows them; the beginning is enough")
    parser.add_argument("--all", action="store_true", help="drop: every letter")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.what == "status":
        return _status(given.json)
    return _ACTS[given.act](given)


def _status(as_json: bool) -> int:
    from cdesk.cli.status import read

    queue = read()["queue"]
    if as_json:
        show.json(queue)
    else:
        waits = f"{queue['events']:,} activities ({show.size(queue['bytes'])}) wait, oldest {show.age(queue['oldest_age_s'])}"
        print(waits if queue["bytes"] else "Empty: everything is in the warehouse.")
        print(f"{queue['dead_letters']:,} lines are set aside.")
    return 0


def _list(given: argparse.Namespace) -> int:
    letters = list(_letters())
    if given.json:
        show.json([_json(letter) for letter in letters])
    elif not letters:
        print("No dead letters: every line could be loaded.")
    else:
        show.table(
            "", ["id", "came", "from", "byte", "why"],
            [[letter.digest[:8], letter.at[:16], letter.source, f"{letter.offset:,}", letter.reason]
             for letter in letters[:LETTERS_SHOWN]],
            right=(3,), note=f"{len(letters):,} letters" + (f", the first {LETTERS_SHOWN} shown" if len(letters) > LETTERS_SHOWN else ""),
        )  # fmt: skip
    return 0


def _show(given: argparse.Namespace) -> int:
    for letter in _chosen(given):
        if given.json:
            show.json({**_json(letter), "line": letter.line.decode("utf-8", "backslashreplace")})
            continue
        print(
            f"{letter.digest}\n  why   {letter.reason}\n  from  {letter.source} byte {letter.offset:,}\n  came  {letter.at}"
        )
        text = letter.line.decode("utf-8", "backslashreplace")
        print(f"  line  {text[:LINE_SHOWN]}{'…' if len(text) > LINE_SHOWN else ''} ({letter.size:,} bytes)")
    return 0


def _replay(given: argparse.Namespace) -> int:
    from cdesk.app import open_producer

    letters = _chosen(given) if given.ids else list(_letters())
    producer = open_producer()
    told: list[dict[str, Any]] = []
    try:
        done = producer.replay.run(letters, lambda letter, why: told.append({"id": letter.digest, "reason": why}))
        _dropping()
        producer.dead.drop(set(done))
    finally:
        producer.close()
    if given.json:
        show.json({"replayed": len(done), "still_dead": [line for line in told if line["reason"]]})
    else:
        print(f"{len(done):,} of {len(letters):,} letters are in the queue again.")
        for line in told:
            if line["reason"]:
                print(f"  {line['id'][:8]} stays: {line['reason']}")
    return 0 if len(done) == len(letters) else 1


def _drop(given: argparse.Namespace) -> int:
    if not given.ids and not given.all:
        raise UsageError("say which letters to drop.", "Name their ids, or --all.")
    letters = list(_letters()) if given.all else _chosen(given)
    _dropping()
    count = DeadLetters(config.home().dead).drop({letter.digest for letter in letters})
    if given.json:
        show.json({"dropped": count})
    else:
        print(f"{count:,} letters dropped.")
    return 0


def _letters() -> DeadLetters:
    return DeadLetters(config.home().dead)


def _chosen(given: argparse.Namespace) -> list[Kept]:
    if not given.ids:
        raise UsageError("say which letter.", "`cdesk queue dead list` shows their ids.")
    letters = list(_letters())
    found: list[Kept] = []
    for wanted in given.ids:
        matching = [letter for letter in letters if letter.digest.startswith(wanted)]
        if len(matching) != 1:
            raise UsageError(f"{wanted!r} names {len(matching)} letters.", "`cdesk queue dead list` shows their ids.")
        found += matching
    return found


def _dropping() -> None:
    """Only one process may rewrite the letters: the service puts new ones at any time."""
    if running(config.home()) is not None:
        raise CdeskError("the service is running and may put letters meanwhile.", "Stop it with `cdesk down` first.")


def _json(letter: Kept) -> dict[str, Any]:
    return {"id": letter.digest, "reason": letter.reason, "source": letter.source, "offset": letter.offset,
            "size": letter.size, "at": letter.at}  # fmt: skip


_ACTS = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}
