"""`cdesk context`: what Claude is told of a project, where it is known from, and how old it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.context.model import KINDS, ContextKey


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "context",
        "What Claude is told of a project: statements of fact with their sources, the best first.\n\n"
        "examples:\n  cdesk context\n  cdesk context --project ~/work/alpha --kind engineer --explain\n"
        "  cdesk context --all-projects --kind executive --json",
    )  # fmt: skip
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--project", type=Path, metavar="PATH", help="its folder (default: the repository you are in)")
    where.add_argument("--all-projects", action="store_true", help="all projects together")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="for whom (default: default)")
    parser.add_argument("--customer", metavar="NAME", help="whose (default: yours)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument(
        "--explain", action="store_true", help="say of each statement why it was chosen, and all sources"
    )
    given = parser.parse_args(arguments)
    client = connect(config.home())
    found = _found(client, given)
    if given.json:
        show.json(found)
    else:
        _show(found, is_explained=given.explain)
        if client is None:
            print("The service is down, and contexts stay as they are: `cdesk up` starts it.", file=sys.stderr)
    return 0


def _found(client: Client | None, given: Any) -> dict[str, Any]:
    """From the cache; what is not there is built by the service, and without one here."""
    from cdesk.app import open_producer
    from cdesk.surface import context

    producer = open_producer()
    try:
        wanted = context.key(producer, given.customer, _project(given), given.kind)
        told = context.of_cache(producer, wanted)
    finally:
        producer.close()
    if told is not None:
        return dict(msgspec.to_builtins(told))
    return _built(wanted) if client is None else dict(client.get(f"/v1/context?{_query(wanted)}"))


def _project(given: Any) -> str | None:
    from cdesk.surface.context import project_of

    if given.all_projects:
        return None
    return project_of(Path.cwd()) if given.project is None else str(given.project.expanduser().resolve())


def _built(wanted: ContextKey) -> dict[str, Any]:
    from cdesk.app import opened_app
    from cdesk.surface import context

    with opened_app(with_tasks=True) as app:
        return dict(msgspec.to_builtins(context.of_app(app, wanted)))


def _query(wanted: ContextKey) -> str:
    named = {"customer": wanted.customer, "project": wanted.project_path, "kind": wanted.kind}
    return urlencode({name: value for name, value in named.items() if value is not None})


def _show(found: dict[str, Any], *, is_explained: bool) -> None:
    about = "all projects" if found["project"] is None else found["project"]
    if not found["statements"]:
        print(
            f"Nothing is known of {about} yet. `cdesk import` reads your history; `cdesk usage project` lists projects."
        )
        return
    if not is_explained:
        print(found["text"])
        return
    print(f"{about} · {found['kind']} · {show.age(found['age_seconds'])} old · version {found['version']}")
    for one in found["statements"]:
        print(f"\n{one['score']:.3f}  {one['text']}\n       why: {one['why']}")
        print(f"       from: {', '.join(one['sources'])}")
