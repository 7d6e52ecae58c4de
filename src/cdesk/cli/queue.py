"""`cdesk queue`: what waits, and what could not be loaded."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.errors import UsageError
from cdesk.queue import DeadLetters, Kept

LETTERS_SHOWN = 50
LINE_SHOWN = 2_000


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "queue",
        "What waits in the queue, and the lines set aside because they could not be loaded.\n\n"
        "  cdesk queue status\n  cdesk queue check                    every line of every segment; changes nothing\n"
        "  cdesk queue dead list\n  cdesk queue dead show ID\n"
        "  cdesk queue dead replay [ID ...]    load them again, after mending what was wrong\n"
        "  cdesk queue dead drop ID ... | --all",
    )
    parser.add_argument("what", choices=("status", "check", "dead"))
    parser.add_argument("act", nargs="?", choices=("list", "show", "replay", "drop"), default="list")
    parser.add_argument("ids", nargs="*", metavar="ID", help="as `dead list` shows them; the beginning is enough")
    parser.add_argument("--all", action="store_true", help="drop: every letter")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.what == "status":
        return _status(given.json)
    if given.what == "check":
        return _check(given.json)
    return _ACTS[given.act](given)


def _status(as_json: bool) -> int:
    from cdesk.cli.status import pressed, read

    queue = read()["queue"]
    if as_json:
        show.json(queue)
    else:
        waits = f"{queue['events']:,} activities ({show.size(queue['bytes'])}) wait, oldest {show.age(queue['oldest_age_s'])}"
        print(waits if queue["bytes"] else "Empty: everything is in the warehouse.")
        print(f"{show.size(queue['stored'])} of {show.size(queue['bytes_max'])} in {queue['segments']:,} segments; "
              f"pressure {queue['level']}.")  # fmt: skip
        if counted := queue["counted"]:
            print(f"Since the service started: {counted['acknowledged']:,} acknowledged, {counted['delivered']:,} delivered "
                  f"({counted['inserted']:,} new, {counted['updated']:,} said more, {counted['duplicates']:,} known), "
                  f"{counted['rotations']:,} segments closed.")  # fmt: skip
        for line in pressed(queue)[queue["level"] != "normal" :]:
            print(f"{line[0].upper()}{line[1:]}.")
        print(f"{queue['dead_letters']:,} lines are set aside.")
    return 0


def _check(as_json: bool) -> int:
    from cdesk.queue.recovery import verify

    found = verify(config.home().queue)
    if as_json:
        show.json(asdict(found))
    else:
        print(f"{found.lines:,} whole lines in {found.segments:,} segments ({show.size(found.bytes)}), "
              f"{found.damaged:,} damaged, {found.torn:,} torn; read in {found.seconds:.2f} s.")  # fmt: skip
    return 1 if found.damaged else 0


def _list(given: argparse.Namespace) -> int:
    letters = list(_letters())
    if given.json:
        show.json([_json(letter) for letter in letters])
    elif not letters:
        print("No dead letters: every line could be loaded.")
    else:
        show.table(
            "", ["id", "came", "seen", "from", "byte", "why"],
            [[letter.digest[:8], letter.at[:16], f"{letter.count:,}×", letter.source, f"{letter.offset:,}", letter.reason]
             for letter in letters[:LETTERS_SHOWN]],
            right=(2, 4), note=f"{len(letters):,} letters" + (f", the first {LETTERS_SHOWN} shown" if len(letters) > LETTERS_SHOWN else ""),
        )  # fmt: skip
    return 0


def _show(given: argparse.Namespace) -> int:
    for letter in _chosen(given):
        if given.json:
            show.json({**_json(letter), "line": letter.line.decode("utf-8", "backslashreplace")})
            continue
        print(
            f"{letter.digest}\n  why   {letter.reason}\n  from  {letter.source} byte {letter.offset:,}\n  came  {letter.at}, seen {letter.count:,}×"
        )
        text = letter.line.decode("utf-8", "backslashreplace")
        print(f"  line  {text[:LINE_SHOWN]}{'…' if len(text) > LINE_SHOWN else ''} ({letter.size:,} bytes)")
    return 0


def _replay(given: argparse.Namespace) -> int:
    ids = [letter.digest for letter in _chosen(given)] if given.ids else None
    client = connect(config.home())
    done = client.post("/v1/dead-letters/replay", {"ids": ids}) if client else _replay_here(ids)
    if given.json:
        show.json({"replayed": done["replayed"],
                   "still_dead": [{"id": id, "reason": reason} for id, reason in done["stays"].items()]})  # fmt: skip
    else:
        print(f"{done['replayed']:,} of {done['asked']:,} letters are in the queue again.")
        for id, reason in done["stays"].items():
            print(f"  {id[:8]} stays: {reason}")
    return 0 if done["replayed"] == done["asked"] else 1


def _replay_here(ids: list[str] | None) -> dict[str, Any]:
    """Without a service this process does what it would do; loading waits for the next that opens the warehouse."""
    from cdesk.app import open_producer, own

    owner = own(config.home())
    try:
        producer = open_producer()
        try:
            return dict(msgspec.to_builtins(producer.replay_letters(ids)))
        finally:
            producer.close()
    finally:
        owner.close()


def _drop(given: argparse.Namespace) -> int:
    if not given.ids and not given.all:
        raise UsageError("say which letters to drop.", "Name their ids, or --all.")
    wanted = {"all": True} if given.all else {"ids": [letter.digest for letter in _chosen(given)]}
    client = connect(config.home())
    count = client.post("/v1/dead-letters/drop", wanted)["dropped"] if client else _drop_here(wanted.get("ids"))
    if given.json:
        show.json({"dropped": count})
    else:
        print(f"{count:,} letters dropped.")
    return 0


def _drop_here(ids: Any) -> int:
    from cdesk.app import own

    owner = own(config.home())
    try:
        letters = _letters()
        return letters.drop({letter.digest for letter in letters} if ids is None else set(ids))
    finally:
        owner.close()


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


def _json(letter: Kept) -> dict[str, Any]:
    return {"id": letter.digest, "reason": letter.reason, "source": letter.source, "offset": letter.offset,
            "size": letter.size, "at": letter.at, "count": letter.count}  # fmt: skip


_ACTS = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}
