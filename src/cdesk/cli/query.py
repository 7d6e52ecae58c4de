"""`cdesk query`: long questions, handed in to the service and looked at later."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import CdeskError, ServiceError
from cdesk.query.granted import BYTES_MAX

PAGE_ROWS = 100
AGAIN_SECONDS = 0.2
BAR_CHARACTERS = 24
WAITING = ("queued", "running")
PATH = "/v1/queries"
_ABOUT = """Long questions: handed in, answered in the background, kept for 24 hours.

  cdesk query submit "SELECT …"     hand one in; its ticket comes at once
  cdesk query submit - --wait       read it from standard input, and see it through
  cdesk query status ID             how far it is
  cdesk query rows ID               page through its answer
  cdesk query cancel ID             break it off
  cdesk query list                  the latest first

The whole answer is an artifact: `cdesk artifact get` has it as a file."""


def run(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    client = connect(config.home())
    if client is None:
        raise ServiceError(
            "long questions are answered by the service, and it is not running.", "Start it: `cdesk up`."
        )
    return _ACTS[given.act](client, given)


def _parser() -> argparse.ArgumentParser:
    parser = show.parser("query", _ABOUT)
    acts = parser.add_subparsers(dest="act", required=True, metavar=f"{{{','.join(_ACTS)}}}")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print as JSON")
    handing_in = acts.add_parser("submit", parents=[as_json], help="hand in a question")
    handing_in.add_argument("sql", metavar="SQL", help="one read-only SELECT; - reads it from standard input")
    handing_in.add_argument("--title", default="", help="what it is, for people")
    handing_in.add_argument("--bytes-max", type=int, metavar="N", default=BYTES_MAX, help="refuse to read more")
    handing_in.add_argument(
        "--sample", action="store_true", help="where it would read more, answer from a part, with a ± to each figure"
    )
    handing_in.add_argument("--wait", action="store_true", help="until it has ended; Ctrl-C leaves it running")
    for act, meaning in (("status", "how far it is"), ("rows", "page through its answer"), ("cancel", "break it off")):
        one = acts.add_parser(act, parents=[as_json], help=meaning)
        one.add_argument("id", metavar="ID")
        if act == "rows":
            one.add_argument("--cursor", help="of the page before")
            one.add_argument("--limit", type=int, default=PAGE_ROWS, metavar="N", help=f"{PAGE_ROWS} by default")
    acts.add_parser("list", parents=[as_json], help="the latest first")
    return parser


# -- acts ----------------------------------------------------------------------------------------------------------


def _submit(client: Client, given: argparse.Namespace) -> int:
    sql = sys.stdin.read() if given.sql == "-" else given.sql
    ticket = client.post(PATH, {
        "sql": sql, "title": given.title, "bytes_max": given.bytes_max,
        "over_cap": "sample" if given.sample else "refuse",
    })  # fmt: skip
    if given.wait:
        ticket = _seen_through(client, ticket)
    return _told(ticket, given.json)


def _status(client: Client, given: argparse.Namespace) -> int:
    return _told(client.get(_at(given.id)), given.json)


def _cancel(client: Client, given: argparse.Namespace) -> int:
    ticket = client.delete(_at(given.id))
    if given.json:
        show.json(ticket)
    else:
        print(_line(ticket))
    return 0


def _rows(client: Client, given: argparse.Namespace) -> int:
    asked = {"limit": given.limit, **({"cursor": given.cursor} if given.cursor else {})}
    page = client.get(f"{_at(given.id)}/rows?{urlencode(asked)}")
    if given.json:
        show.json(page)
        return 0
    last = page["offset"] + len(page["rows"])
    note = f"rows {page['offset'] + 1:,} to {last:,} of {page['row_count']:,}" if page["rows"] else ""
    if page["cursor"]:
        note += f"; the next: --cursor {page['cursor']}"
    show.answer([column["name"] for column in page["columns"]], page["rows"], len(page["rows"]), note)
    return 0


def _list(client: Client, given: argparse.Namespace) -> int:
    found = client.get(PATH)["queries"]
    if given.json:
        show.json({"queries": found})
    elif not found:
        print("No long questions were handed in.")
    else:
        show.table(
            "", ["ticket", "state", "rows", "submitted", "question"],
            [[one["ticket"], _state(one), show.number(one["row_count"]), _time(one["submitted_at"]),
              one["title"] or " ".join(one["sql"].split())] for one in found], right=(2,), whole=(0, 1),
        )  # fmt: skip
    return 0


def _seen_through(client: Client, ticket: Any) -> Any:
    """On a terminal, a bar shows how far it is."""
    is_shown = sys.stderr.isatty()
    try:
        while ticket["state"] in WAITING:
            if is_shown:
                print(f"\r\x1b[K{_bar(ticket)}", end="", file=sys.stderr, flush=True)
            time.sleep(AGAIN_SECONDS)
            ticket = client.get(_at(ticket["ticket"]))
    except KeyboardInterrupt:
        raise CdeskError("not waited for any longer; it goes on.", f"`cdesk query status {ticket['ticket']}`") from None
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return ticket


def _bar(ticket: Any) -> str:
    done = round((ticket["progress"] or 0) * BAR_CHARACTERS)
    return f"{'█' * done}{'░' * (BAR_CHARACTERS - done)} {_state(ticket)}"


def _told(ticket: Any, is_json: bool) -> int:
    """1 for a question that has ended without an answer."""
    if is_json:
        show.json(ticket)
    else:
        print(_line(ticket))
    return 0 if ticket["state"] in (*WAITING, "done") else 1


def _line(ticket: Any) -> str:
    said = f"{ticket['ticket']}: {_state(ticket)}"
    if ticket["state"] == "done":
        said += f", {ticket['row_count']:,} rows in {ticket['artifact_id']}, cite cdesk:{ticket['query_id']}"
    if ticket["sample"]:
        said += f"\n{ticket['sample']['watermark']}"
    elif ticket["state"] in (*WAITING, "done") and ticket["estimate"] and ticket["estimate"]["rows"]:
        from cdesk.query.estimate import Estimate, in_words

        said += f"; {in_words(Estimate(**ticket['estimate']))}"
    return f"{said}: {ticket['error']}" if ticket["error"] else said


def _state(ticket: Any) -> str:
    return ticket["state"] if ticket["progress"] is None else f"{ticket['state']}, {ticket['progress']:.0%}"


def _time(at: str) -> str:
    return at[:16].replace("T", " ")


def _at(id_: str) -> str:
    return f"{PATH}/{quote(id_, safe='')}"


_ACTS: dict[str, Callable[[Client, argparse.Namespace], int]] = {
    "submit": _submit, "status": _status, "rows": _rows, "cancel": _cancel, "list": _list,
}  # fmt: skip
