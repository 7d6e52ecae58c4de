"""`cdesk drift`: what left the catalog's shape, and what to do about it."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.errors import UsageError

LINE_SHOWN = 500


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "drift",
        "Activities that left the catalog's shape: new keys, changed types, missing keys, unknown names.\n\n"
        "  cdesk drift list\n  cdesk drift show ID\n"
        "  cdesk drift accept ID     your catalog takes it from now on; rows that waited go in\n"
        "  cdesk drift release ID    rows that waited go in as they are; your catalog stays",
    )
    parser.add_argument("act", nargs="?", choices=("list", "show", "accept", "release"), default="list")
    parser.add_argument("id", nargs="?", metavar="ID", help="as `list` shows it; the beginning is enough")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.act != "list" and not given.id:
        raise UsageError(f"say what to {given.act}.", "`cdesk drift list` shows the ids.")
    answer = _asked(given.act, given.id or "")
    if given.json:
        show.json(answer)
    else:
        _TELL[given.act](answer, given)
    return 0


def _asked(act: str, drift_id: str) -> Any:
    """By the service when it runs, else in the warehouse itself."""
    home = config.home()
    client = connect(home)
    if client is not None:
        path = f"/v1/drift/{quote(drift_id, safe='')}"
        if act == "list":
            return client.get("/v1/drift")
        return client.get(path) if act == "show" else client.post(f"{path}/{act}", {})
    if act == "list" and not home.path.exists():
        return {"incidents": []}
    return _here(act, drift_id)


def _here(act: str, drift_id: str) -> Any:
    from cdesk.app import opened_app

    with opened_app() as app:  # what waits in the queue may have drifted, too
        if act == "list":
            return {"incidents": msgspec.to_builtins(app.drift.list())}
        return msgspec.to_builtins(getattr(app.drift, act)(drift_id))


def _list(answer: Any, given: argparse.Namespace) -> None:
    incidents = answer["incidents"]
    if not incidents:
        print("No drift: every activity has the shape the catalog promises. There is nothing to do.")
        return
    show.table(
        "", ["id", "what", "activity", "key", "came as", "times", "wait", "state"],
        [[one["id"][:8], one["kind"].replace("_", " "), one["activity"], one["key"], one["actual"],
          f"{one['occurrences']:,}", f"{one['quarantined']:,}", f"{one['severity']}, {one['status']}"]
         for one in incidents],
        right=(5, 6), whole=(0, 2, 3), note=_advice(incidents),
    )  # fmt: skip


def _advice(incidents: list[dict[str, Any]]) -> str:
    waiting = sum(one["quarantined"] for one in incidents)
    unsettled = sum(one["status"] == "open" for one in incidents)
    if not unsettled and not waiting:
        return "Nothing waits for you."
    return (
        f"{unsettled:,} open, {waiting:,} rows set aside. `cdesk drift show ID` says more; then accept or release it."
    )


def _show(answer: Any, given: argparse.Namespace) -> None:
    one = answer["incident"]
    print(f"{one['id']}\n  what    {answer['message']}\n  state   {one['severity']}, {one['status']}")
    print(
        f"  seen    {one['occurrences']:,} times, first {_minute(one['first_seen'])}, last {_minute(one['last_seen'])}"
    )
    print(f"  policy  {answer['policy']} ({one['family']} activities), schema version {one['schema_version']}")
    print(f"  sample  {', '.join(f'{key}: {kind}' for key, kind in one['sample_json'].items())}")
    print(f"  wait    {one['quarantined']:,} rows")
    for row in answer["rows"]:
        text = row["line"].rstrip("\n")
        print(
            f"\n  {_minute(row['ts'])}  {row['reason']}\n  {text[:LINE_SHOWN]}{'…' if len(text) > LINE_SHOWN else ''}"
        )


def _settled(answer: Any, given: argparse.Namespace) -> None:
    one = answer["incident"]
    done = "Your catalog takes it from now on." if one["status"] == "accepted" else "The catalog stays as it is."
    print(f"{done} {answer['requeued']:,} rows went back into the queue.")
    if answer["still_quarantined"]:
        print(f"{answer['still_quarantined']:,} rows of {one['activity']} wait for something else: `cdesk drift list`.")


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


_TELL = {"list": _list, "show": _show, "accept": _settled, "release": _settled}
