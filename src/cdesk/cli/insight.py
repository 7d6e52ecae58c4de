"""`cdesk insight`: what Claude and people know here, where they know it from, and a person's word on it."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from cdesk import config
from cdesk.capture.insight import CorrectRequest, RecordRequest
from cdesk.cli import show
from cdesk.cli.client import connect

if TYPE_CHECKING:
    from cdesk.app import App

FOUND = 50
_ABOUT = """Insights: facts that were recorded, detected or calculated, each with its evidence.

  cdesk insight list [WORD …]              those with these words; without any, the surest and latest
  cdesk insight show ID                    where it is known from, and what was said about it since
  cdesk insight record SUBJECT METRIC STATEMENT
  cdesk insight correct ID STATEMENT       what is right
  cdesk insight silence ID                 it is not told any more
  cdesk insight restore ID                 it is told again

The beginning of an id is enough."""


def run(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    if given.act == "list":
        _list(_found(given), given)
    elif given.act == "show":
        _show(_explained(given.id), given)
    elif given.act == "record":
        _told(_recorded(given), "Recorded", given)
    else:
        _told(_corrected(given), _DONE[given.act], given)
    return 0


_DONE = {"correct": "Corrected", "silence": "Silenced", "restore": "Restored"}


def _parser() -> argparse.ArgumentParser:
    parser = show.parser("insight", _ABOUT)
    acts = parser.add_subparsers(dest="act", required=True, metavar="{list,show,record,correct,silence,restore}")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print as JSON")
    listing = acts.add_parser("list", parents=[as_json], help="find insights")
    listing.add_argument("words", nargs="*", metavar="WORD", help="of the statement, the subject or the metric")
    for name in ("subject", "metric", "project", "customer"):
        listing.add_argument(f"--{name}", help=f"of this {name}")
    listing.add_argument("--since", metavar="TIME", help="changed since then, ISO 8601")
    listing.add_argument("--all", action="store_true", help="also those that are not valid any more")
    listing.add_argument("--count", type=int, default=FOUND, metavar="N", help=f"at most so many, {FOUND} by default")
    acts.add_parser("show", parents=[as_json], help="explain one").add_argument("id", metavar="ID")
    _add_record(acts.add_parser("record", parents=[as_json], help="remember a fact"))
    correct = acts.add_parser("correct", parents=[as_json], help="say what is right")
    for act in (correct, *(acts.add_parser(name, parents=[as_json]) for name in ("silence", "restore"))):
        act.add_argument("id", metavar="ID")
        act.add_argument("--reason", metavar="TEXT", help="why, for the record")
    correct.add_argument("statement", nargs="?", metavar="STATEMENT")
    correct.add_argument("--value", type=_json, metavar="VALUE", help="the right figure or word")
    return parser


def _add_record(record: argparse.ArgumentParser) -> None:
    for name in ("subject", "metric", "statement"):
        record.add_argument(name, metavar=name.upper())
    record.add_argument("--value", type=_json, metavar="VALUE", help="as a figure or a word, where it is one")
    record.add_argument("--unit")
    record.add_argument("--grain")
    record.add_argument("--confidence", type=float, metavar="0…1")
    record.add_argument("--valid-until", metavar="TIME", help="ISO 8601; 90 days by default")
    record.add_argument("--evidence", action="append", default=[], metavar="ACTIVITY_ID")
    record.add_argument("--project", dest="project_path", metavar="FOLDER", help="of this project only")
    record.add_argument("--replaces", metavar="ID")


def _json(text: str) -> Any:
    """A figure where it looks like one, else the words."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


# -- asked of the service when it runs, else here ------------------------------------------------------------------


def _found(given: argparse.Namespace) -> Any:
    asked = {
        "text": " ".join(given.words), "subject": given.subject, "metric": given.metric, "project_path": given.project,
        "customer": given.customer, "since": given.since, "all": str(given.all).lower(), "count": max(1, given.count),
    }  # fmt: skip
    if (client := connect(config.home())) is not None:
        return client.get(f"/v1/insights?{urlencode({k: v for k, v in asked.items() if v is not None})}")["insights"]
    from cdesk.query.insights import moment

    with _here() as app:
        return msgspec.to_builtins(app.insights.find(
            asked["text"], subject=given.subject, metric=given.metric, project_path=given.project,
            customer=given.customer, since=moment(given.since), is_all=given.all, count=given.count,
        ))  # fmt: skip


def _explained(atom_id: str) -> Any:
    if (client := connect(config.home())) is not None:
        return client.get(f"/v1/insights/{quote(atom_id, safe='')}")
    with _here() as app:
        return msgspec.to_builtins(app.insights.explain(atom_id))


def _recorded(given: argparse.Namespace) -> Any:
    """Needs no service: it is durable in the queue."""
    from cdesk.app import open_producer

    asked = RecordRequest(
        **{name: getattr(given, name) for name in RecordRequest.__struct_fields__ if name != "author"}
    )
    producer = open_producer()
    try:
        return msgspec.to_builtins(producer.insight_desk.record(asked))
    finally:
        producer.close()


def _corrected(given: argparse.Namespace) -> Any:
    asked = CorrectRequest(
        action=given.act, statement=getattr(given, "statement", None), value=getattr(given, "value", None),
        reason=given.reason,
    )  # fmt: skip
    if (client := connect(config.home())) is not None:
        return client.post(f"/v1/insights/{quote(given.id, safe='')}/corrections", asked)
    with _here() as app:
        return msgspec.to_builtins(app.insight_desk.correct(app.insights.whole_id(given.id), asked))


def _here() -> AbstractContextManager[App]:
    from cdesk.app import opened_app

    return opened_app(with_tasks=True)


# -- shown ---------------------------------------------------------------------------------------------------------


def _list(insights: list[dict[str, Any]], given: argparse.Namespace) -> None:
    if given.json:
        show.json({"insights": insights})
        return
    if not insights:
        print("Nothing is known" + (" with these words." if given.words else " yet."))
        return
    show.table(
        "", ["id", "what", "sure", "from", "until", "state"],
        [[one["id"][:8], one["statement"], _percent(one["confidence"]), _from(one),
          (one["valid_until"] or "–")[:10], one["state"]] for one in insights],
        right=(2,), whole=(0, 4), note="`cdesk insight show ID` says where it is known from.",
    )  # fmt: skip


def _from(insight: dict[str, Any]) -> str:
    """Who says so: claude, a person, a detector, or the figures themselves."""
    return str(insight["author"] or {"aggregate_calculation": "figures"}.get(insight["method"], insight["method"]))


def _show(found: dict[str, Any], given: argparse.Namespace) -> None:
    if given.json:
        show.json(found)
        return
    one, how = found["insight"], found["derivation"]
    print(f"{one['id']}\n  {one['statement']}")
    value = f"{one['value']} {one['unit'] or ''}".strip() if one["value"] is not None else "–"
    for name, text in (
        ("about", f"{one['subject']} / {one['metric']}" + (f", {one['grain']}" if one["grain"] else "")),
        ("value", value),
        ("where", one["project_path"] or "all projects"),
        ("who", f"{one['customer']}, {_from(one)}"),
        ("sure", _percent(one["confidence"])),
        ("valid", f"{one['valid_from'][:16]} – {(one['valid_until'] or '')[:16]}"),
        ("state", one["state"] + (f" ({found['quarantine_reason']})" if found["quarantine_reason"] else "")),
        ("how", f"{how.get('task', '')} {how.get('rule', '')} {_parameters(how)}".strip()),
    ):  # fmt: skip
        print(f"  {name:<6} {text}")
    for title, others in (
        ("superseded by", [found["superseded_by"]] if found["superseded_by"] else []),
        ("supersedes", found["supersedes"]), ("contradicted by", found["contradicts"]),
    ):  # fmt: skip
        for other in others:
            print(f"  {title} {other['id'][:8]}: {other['statement']}")
    for said in found["said_later"]:
        print(
            f"  {said['ts'][:16]} {said['action']} ({said['customer']}): {said['statement'] or said['reason'] or ''}".rstrip(
                ": "
            )
        )
    for each in found["evidence"]:
        print(f"  {each['ts'][:16]} {each['activity']} {each['activity_id']}\n      {_one_line(each['says'])}")
    if found["missing"]:
        print(f"  {len(found['missing'])} activities it names are not here: {', '.join(found['missing'])}")


def _told(remembered: dict[str, str], word: str, given: argparse.Namespace) -> None:
    if given.json:
        show.json(remembered)
    else:
        print(f"{word}: {remembered['id']}")


def _percent(confidence: float | None) -> str:
    return "–" if confidence is None else f"{confidence:.0%}"


def _parameters(how: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in (how.get("parameters") or {}).items())


def _one_line(text: str) -> str:
    return " ".join(text.split())
