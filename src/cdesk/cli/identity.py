"""`cdesk identity`: says who did what: link, alias, remove, correct, undo."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import CdeskError

if TYPE_CHECKING:
    from cdesk.app import App

Tell = Callable[[int, int], None]

_ABOUT = """Says who did what, after the fact: recorded operations that show rows under another customer, and can be
taken back. Rows that come later follow them too.

  cdesk identity list
  cdesk identity link host_1f2e3d4c5b6a ada@example.org     this machine is hers
  cdesk identity alias ada@old.example ada@example.org      she has a new address
  cdesk identity remove build-bot                           is not to be named any more
  cdesk identity correct ACTIVITY_ID ada@example.org        this one thing was hers
  cdesk identity undo 3
  cdesk identity list --on snowflake                        what was said to the team's warehouse"""


def run(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    if given.act == "list":
        _list(_ask(lambda client: client.get(f"/v1/identity?on={given.on}"),
                   lambda app: app.identity_of(given.on).operations), given.json)  # fmt: skip
    elif given.act == "show":
        _show(_ask(lambda client: client.get(f"/v1/identity/{given.number}?on={given.on}"),
                   lambda app: app.identity_of(given.on).operation(given.number)), given.json)  # fmt: skip
    else:
        _outcome(_done(_request(given)), given)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = show.parser("identity", _ABOUT)
    acts = parser.add_subparsers(dest="act", required=True, metavar="{list,show,link,alias,remove,correct,undo}")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print as JSON")
    as_json.add_argument("--on", choices=("duckdb", "snowflake"), default="duckdb",
                         help="this machine's own warehouse, or the team's (default: duckdb)")  # fmt: skip
    saying = argparse.ArgumentParser(add_help=False, parents=[as_json])
    saying.add_argument("--reason", metavar="TEXT", help="why, for the record")
    saying.add_argument("--dry-run", action="store_true", help="only count what would change")
    naming = argparse.ArgumentParser(add_help=False, parents=[saying])
    naming.add_argument("--new", action="store_true", help="a name that no row has yet is no mistake")

    acts.add_parser("list", parents=[as_json], help="every operation")
    acts.add_parser("show", parents=[as_json], help="one operation").add_argument("number", type=int)
    link = acts.add_parser("link", parents=[naming], help="whose an anonymous id is")
    link.add_argument("subject", metavar="ANONYMOUS_ID")
    link.add_argument("customer", metavar="CUSTOMER")
    link.add_argument("--at", type=_time, metavar="TIME",
                      help="when it was known, ISO 8601, UTC unless it names an offset (default: now)")  # fmt: skip
    alias = acts.add_parser("alias", parents=[naming], help="one customer is another")
    alias.add_argument("subject", metavar="CUSTOMER")
    alias.add_argument("customer", metavar="IS")
    acts.add_parser("remove", parents=[naming], help="name a customer no more").add_argument("subject", metavar="CUSTOMER")  # fmt: skip
    correct = acts.add_parser("correct", parents=[naming], help="whose one activity is")
    correct.add_argument("subject", metavar="ACTIVITY_ID", type=str.lower)
    correct.add_argument("customer", metavar="CUSTOMER")
    acts.add_parser("undo", parents=[saying], help="take an operation back").add_argument("number", type=int)
    return parser


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 2026-11-23T09:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _request(given: argparse.Namespace) -> dict[str, Any]:
    """As `POST /v1/identity` takes it."""
    asked: dict[str, Any] = {"by": _user(), "reason": given.reason, "dry_run": given.dry_run, "on": given.on}
    if given.act == "undo":
        return {**asked, "undo": given.number}
    claim: dict[str, Any] = {"kind": given.act, "subject": given.subject}
    if given.act != "remove":
        claim["customer"] = given.customer
    if given.act == "link":
        claim["identified_at"] = given.at or datetime.now(UTC)
    return {**asked, "new": given.new, "claim": claim}


def _user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def _ask(of_service: Callable[[Client], Any], of_app: Callable[[App], Any]) -> Any:
    client = connect(config.home())
    if client is not None:
        return of_service(client)
    with _app() as app:
        return msgspec.to_builtins(of_app(app))


def _done(request: dict[str, Any]) -> dict[str, Any]:
    client = connect(config.home())
    with _bar() as tell:
        return _through(client, request, tell) if client else _here(request, tell)


def _through(client: Client, request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    for line in client.stream("/v1/identity", request):
        if "result" in line:
            return dict(line["result"])
        if "error" in line:
            raise CdeskError(line["error"])
        tell(line["progress"]["rows"], line["progress"]["rows_total"])
    raise CdeskError("the service stopped in the middle of it.", "Start it again: it goes on where it stopped.")


def _here(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    from cdesk.upkeep.identity import IdentityRequest

    with _app() as app:
        asked = msgspec.convert(request, IdentityRequest)
        return dict(msgspec.to_builtins(app.identity_of(asked.on).act(asked, tell)))


@contextmanager
def _app() -> Iterator[App]:
    from cdesk.app import opened_app

    with opened_app() as app:
        app.identity.resume()
        yield app


def _list(operations: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        show.json(operations)
    elif not operations:
        print("Nothing was said: every row is shown as it was told. See `cdesk identity --help`.")
    else:
        show.table(
            "", ["no.", "said", "by", "what", "rows", "stands"],
            [[str(o["number"]), o["said_at"][:16], o.get("said_by") or "", _sentence(o), f"{o['rows_changed']:,}", _state(o)]
             for o in operations],
            right=(0, 4),
        )  # fmt: skip


def _show(operation: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.json(operation)
        return
    print(f"{operation['number']}: {_sentence(operation)}")
    print(f"  said    {operation['said_at'][:19]} by {operation.get('said_by') or 'nobody known'}")
    if operation.get("reason"):
        print(f"  why     {operation['reason']}")
    if operation.get("undone_at"):
        print(f"  undone  {operation['undone_at'][:19]} by {operation.get('undone_by') or 'nobody known'}"
              f"{': ' + operation['undone_reason'] if operation.get('undone_reason') else ''}")  # fmt: skip
    print(f"  rows    {operation['rows_changed']:,}")
    _counts(operation["counts"])


def _outcome(outcome: dict[str, Any], given: argparse.Namespace) -> None:
    if given.json:
        show.json(outcome)
        return
    operation = outcome["operation"]
    if not outcome["is_new"]:
        state = "was undone before" if given.act == "undo" else "says so already"
        print(f"Nothing changed: operation {operation['number']} {state}.")
        return
    if given.dry_run:
        print(f"{_rows(outcome)} would change. Nothing was written.")
    elif given.act == "undo":
        print(f"Operation {operation['number']} is undone. {_rows(outcome)} changed.")
    else:
        print(f"{_sentence(operation)}. {_rows(outcome)} changed.")
    _counts(outcome["counts"])
    if operation is not None and given.act != "undo":
        print(f"Operation {operation['number']}; take it back with `cdesk identity undo {operation['number']}`.")


def _rows(outcome: dict[str, Any]) -> str:
    return "1 row" if outcome["rows"] == 1 else f"{outcome['rows']:,} rows"


def _counts(counts: list[dict[str, Any]]) -> None:
    if counts:
        show.table(
            "", ["customer", "before", "after"],
            [[c["customer"] or "(removed)", f"{c['before']:,}", f"{c['after']:,}"] for c in counts], right=(1, 2),
        )  # fmt: skip


def _sentence(operation: dict[str, Any]) -> str:
    match operation["kind"]:
        case "link":
            return f"{operation['subject']} is {operation['customer']}, known at {operation['identified_at'][:19]}"
        case "remove":
            return f"{operation['subject']} is removed"
        case _:
            return f"{operation['subject']} is {operation['customer']}"


def _state(operation: dict[str, Any]) -> str:
    if not operation["is_settled"]:
        return "rewriting"
    return "undone" if operation.get("undone_at") else "yes"


@contextmanager
def _bar() -> Iterator[Tell]:
    """A progress bar when a terminal watches, else nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Rewriting rows", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
