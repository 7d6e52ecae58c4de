"""`cdesk ask`: a ready-made question, its answer, and the link that cites it."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from cdesk.cli import show
from cdesk.cli.asked import desk
from cdesk.errors import UsageError
from cdesk.query.template import ROLES, Parameter

ROWS_SHOWN = 200


def run(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    with desk() as asked:
        if given.name is None:
            answer = asked.questions(given.role)
        else:
            answer = asked.ask(given.name, {
                "parameters": _parameters(given, asked.question(given.name)["question"]), "fresh": given.fresh,
                "role": given.role, "over_cap": "sample" if given.sample else "refuse", "on": given.on,
            })  # fmt: skip
    if given.json:
        show.json(answer)
    elif given.name is None:
        _list(answer)
    else:
        _show(answer, given)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = show.parser(
        "ask",
        "Ready-made questions. Without a name it lists them. An answer is recorded: asked again within a day, the same\n"
        "answer comes back with the same link, and `cdesk explain` tells where it comes from.\n\n"
        "examples:\n"
        "  cdesk ask spend_by_day\n"
        "  cdesk ask cost_by --param by=model --param days=30\n"
        "  cdesk ask recent_activity --param activities=tool_called,file_edited --fresh --json",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the question")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="as often as needed; a list with commas"
    )
    parser.add_argument("--fresh", action="store_true", help="as the data is now")
    parser.add_argument("--sample", action="store_true", help="where all of it would be over the cap, a sample")
    parser.add_argument(
        "--on", choices=("duckdb", "snowflake"), default="duckdb", help="snowflake: the team's warehouse"
    )
    parser.add_argument("--as", dest="role", choices=ROLES, default="owner", help="in this role; owner by default")
    parser.add_argument("--show-sql", action="store_true", help="the SQL, too")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    return parser


def _parameters(given: argparse.Namespace, question: dict[str, Any]) -> dict[str, Any]:
    """Raises UsageError naming what the question takes."""
    known = {each["name"]: msgspec.convert(each, Parameter) for each in question["parameters"]}
    found: dict[str, Any] = {}
    for text in given.param:
        name, is_there, value = text.partition("=")
        if not is_there:
            raise UsageError(f"--param {text!r} has no value.", "Write --param NAME=VALUE.")
        if name not in known:
            raise UsageError(
                f"{question['name']} takes no {name[:60]!r}.", f"It takes: {', '.join(known) or 'nothing'}."
            )
        found[name] = known[name].read(value)
    return found


def _list(answer: dict[str, Any]) -> None:
    show.table(
        "", ["question", "what it answers", "takes"],
        [[one["name"], one["title"] + ("" if one["state"] == "active" else f" ({one['state']})"),
          ", ".join(each["name"] for each in one["parameters"])] for one in answer["questions"]],
        whole=(0,), note="\n".join([
            *(each["error"] for each in answer["unreadable"]),
            "`cdesk ask NAME` answers one, `cdesk template show NAME` tells what it takes and gives.",
        ]),
    )  # fmt: skip


def _show(answer: dict[str, Any], given: argparse.Namespace) -> None:
    if given.show_sql:
        print(answer["sql"].strip() + "\n")
    if answer["sample"]:
        print(answer["sample"]["watermark"])
    notes = [f"{answer['link']} · data as of {_time(answer['data_as_of'])}"]
    if answer["is_recorded"]:
        notes.append(f"Recorded at {_time(answer['asked_at'])}." + (
            "" if answer["is_current"] else " The data has brought news since: --fresh asks anew."
        ))  # fmt: skip
    if answer["artifact_id"]:
        notes.append(f"All {answer['row_count']:,} rows: `cdesk artifact get {answer['artifact_id']}`")
    kinds = [each["type"] for each in answer["columns"]]
    rows = [[_shown(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in answer["rows"]]
    show.answer([each["name"] for each in answer["columns"]], rows, ROWS_SHOWN, "\n".join(notes))


def _shown(value: Any, kind: str) -> Any:
    """Times to the minute; all are UTC."""
    return value[:16].replace("T", " ") if kind == "time" and isinstance(value, str) else value


def _time(text: str | None) -> str:
    return "–" if text is None else f"{text[:16].replace('T', ' ')} UTC"
