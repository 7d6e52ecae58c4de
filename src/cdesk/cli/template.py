"""`cdesk template`: the questions there are, their text, and who decided that they may be asked."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from cdesk.cli import show
from cdesk.cli.asked import DECISIONS, desk
from cdesk.errors import UsageError
from cdesk.query.template import Parameter


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "template",
        "The questions that `cdesk ask` answers. Files of your own in $CDESK_HOME/templates are drafts: only you may ask\n"
        "them, until they are reviewed and activated for the roles that their headers name.\n\n"
        "  cdesk template list\n  cdesk template show NAME           what it takes and gives, its SQL, what was decided\n"
        "  cdesk template review NAME         it was looked at\n  cdesk template activate NAME       it may be asked\n"
        "  cdesk template block NAME --reason TEXT",
    )
    parser.add_argument("act", choices=("list", "show", *DECISIONS))
    parser.add_argument("name", nargs="?", metavar="NAME", help="as `template list` shows it")
    parser.add_argument("--reason", metavar="TEXT", help="why, for the record")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.act != "list" and not given.name:
        raise UsageError(f"say which question to {given.act}.", "`cdesk template list` shows their names.")
    with desk() as asked:
        if given.act == "list":
            answer = asked.questions("owner")
        elif given.act == "show":
            answer = asked.question(given.name)
        else:
            answer = asked.decide(given.name, given.act, given.reason)
    if given.json:
        show.json(answer)
    else:
        (_list if given.act == "list" else _show if given.act == "show" else _decided)(answer, given)
    return 0


def _list(answer: dict[str, Any], given: argparse.Namespace) -> None:
    show.table(
        "", ["question", "state", "from", "access", "roles"],
        [[one["name"], one["state"], "cdesk" if one["is_bundled"] else "home", one["access"], ", ".join(one["roles"])]
         for one in answer["questions"]],
        whole=(0, 1), note="\n".join(each["error"] for each in answer["unreadable"]),
    )  # fmt: skip


def _show(answer: dict[str, Any], given: argparse.Namespace) -> None:
    one = answer["question"]
    print(f"{one['name']} (version {one['version']}, {one['state']}): {one['title']}\n  {one['description']}")
    for each in one["parameters"]:
        print(f"  takes {each['name']}: {_takes(msgspec.convert(each, Parameter))}")
    for each in one["columns"]:
        print(
            f"  gives {each['name']} ({each['type']}{', ' + each['unit'] if each['unit'] else ''}): {each['description']}"
        )
    print(f"  roles: {', '.join(one['roles'])} · {one['access']} · at most {show.size(one['byte_cap'])}")
    for said in answer["decisions"]:
        print(
            f"  {said['at'][:16]} {said['state']} by {said['by']}" + (f": {said['reason']}" if said["reason"] else "")
        )
    print(f"\n{answer['sql']}")


def _takes(parameter: Parameter) -> str:
    default = "may be left out" if parameter.is_optional else f"{show.cell(parameter.default)} by default"
    return f"{parameter.says}, {default}: {parameter.description}"


def _decided(answer: dict[str, Any], given: argparse.Namespace) -> None:
    one = answer["question"]
    print(f"{one['name']} is {one['state']}.")
