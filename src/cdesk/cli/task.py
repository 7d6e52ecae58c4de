"""`cdesk task`: the tasks that keep derived tables up to date, and their runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from cdesk import config
from cdesk.app import App, opened_app
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import UsageError
from cdesk.refresh import report

COUNT = 20


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "task",
        "The tasks that keep derived tables up to date. They run by themselves while the service runs, and at the end\n"
        "of `cdesk import`.\n\n"
        "  cdesk task list\n  cdesk task history [NAME]\n"
        "  cdesk task run NAME        now, also when it is suspended or nothing has changed\n"
        "  cdesk task suspend NAME\n  cdesk task resume NAME",
    )
    parser.add_argument("act", choices=tuple(_ACTS))
    parser.add_argument("name", nargs="?", metavar="NAME", help="as `task list` shows it")
    parser.add_argument(
        "--count", type=int, default=COUNT, metavar="N", help=f"runs of the history, {COUNT} by default"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.act in ("run", "suspend", "resume") and not given.name:
        raise UsageError(f"say which task to {given.act}.", "`cdesk task list` shows their names.")
    return _ACTS[given.act](given)


def _list(given: argparse.Namespace) -> int:
    with _asked() as asked:
        tasks = asked.tasks()
    if given.name:
        tasks = [task for task in tasks if task["name"] == given.name]
        if not tasks:
            raise UsageError(f"there is no task {given.name!r}.", "`cdesk task list` shows their names.")
    if given.json:
        show.json({"tasks": tasks})
    elif not tasks:
        print("No tasks: there is nothing to keep up to date.")
    else:
        _show_tasks(tasks)
    return 0


def _show_tasks(tasks: list[dict[str, Any]]) -> None:
    rows = [
        [task["name"], _when(task["schedule"]), _standing(task), _time(task["last_completed"])[5:16],
         show.number(task["runs_24h"]), show.number(task["average_ms_24h"])]
        for task in tasks
    ]  # fmt: skip
    errors = [f"{task['name']}: {task['last_error']}" for task in tasks if task["last_error"]]
    show.table(
        "", ["task", "when", "standing", "last run", "24 h", "ms"], rows, right=(4, 5), whole=(0, 1, 3),
        note="\n".join([*errors, *filter(None, [_note(tasks)])]),
    )  # fmt: skip
    if len(tasks) == 1:
        print(f"{tasks[0]['meaning'][:1].upper()}{tasks[0]['meaning'][1:]}.")


def _when(schedule: str) -> str:
    """Its zone is told by --json."""
    return " ".join(schedule.split()[:6])


def _standing(task: dict[str, Any]) -> str:
    if task["state"] == "suspended":
        return "suspended, it failed too often" if task["suspended_by"] == "failures" else "suspended"
    if task["failures_in_a_row"]:
        return f"failed {task['failures_in_a_row']}×, will be tried again"
    if task["last_state"] is None:
        return "has not run yet"
    return "waits for its turn" if task["has_data"] else "up to date"


def _note(tasks: list[dict[str, Any]]) -> str:
    failed = [task["name"] for task in tasks if task["suspended_by"] == "failures"]
    if failed:
        return f"See `cdesk task history {failed[0]}`; when it is mended, `cdesk task resume {failed[0]}`."
    if all(task["last_state"] is None for task in tasks):
        return "They run while `cdesk up` runs, and at the end of `cdesk import`."
    return ""


def _history(given: argparse.Namespace) -> int:
    with _asked() as asked:
        runs = asked.runs(given.name, max(1, given.count))
    if given.json:
        show.json({"runs": runs})
    elif not runs:
        print("No task has run yet. They run while `cdesk up` runs, and at the end of `cdesk import`.")
    else:
        show.table(
            "", ["completed", "task", "state", "rows", "ms", "error"],
            [[_time(run["completed"])[5:], run["task"], run["state"].lower(),
              show.number(run["rows_changed"]), f"{run['elapsed_ms']:,.1f}", run["error"] or ""] for run in runs],
            right=(3, 4), whole=(0, 1, 2),
        )  # fmt: skip
    return 0


def _run(given: argparse.Namespace) -> int:
    with _asked() as asked:
        run = asked.tell(given.name, "run")
    if given.json:
        show.json(run)
    elif run["error"]:
        print(f"{run['task']} failed: {run['error']}")
    else:
        print(f"{run['task']} changed {run['rows_changed']:,} rows in {run['elapsed_ms']:,.1f} ms.")
    return 1 if run["error"] else 0


def _suspend(given: argparse.Namespace) -> int:
    return _set(given, "suspend", "is suspended: it does not run until `cdesk task resume` says so")


def _resume(given: argparse.Namespace) -> int:
    return _set(given, "resume", "is started: it runs when there is something to do")


def _set(given: argparse.Namespace, act: str, outcome: str) -> int:
    with _asked() as asked:
        told = asked.tell(given.name, act)
    [task] = [task for task in told["tasks"] if task["name"] == given.name]
    if given.json:
        show.json(task)
    else:
        print(f"{task['name']} {outcome}.")
    return 0


class _Service:
    """The running service answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def tasks(self) -> list[dict[str, Any]]:
        return list(self._client.get("/v1/tasks")["tasks"])

    def runs(self, name: str | None, count: int) -> list[dict[str, Any]]:
        asked = {"count": count, **({"task": name} if name else {})}
        return list(self._client.get(f"/v1/tasks/history?{urlencode(asked)}")["runs"])

    def tell(self, name: str, act: str) -> dict[str, Any]:
        return dict(self._client.post(f"/v1/tasks/{quote(name, safe='')}/{act}", {}))


class _House:
    """No service runs: the warehouse is opened."""

    def __init__(self, app: App) -> None:
        self._app = app

    def tasks(self) -> list[dict[str, Any]]:
        return list(msgspec.to_builtins(report.tasks(self._app.warehouse, self._app.tasks)))

    def runs(self, name: str | None, count: int) -> list[dict[str, Any]]:
        return list(msgspec.to_builtins(report.runs(self._app.warehouse, self._app.tasks, name, count)))

    def tell(self, name: str, act: str) -> dict[str, Any]:
        if act == "run":
            return dict(msgspec.to_builtins(report.of_run(self._app.tasks.run(name))))
        self._app.tasks.suspend(name) if act == "suspend" else self._app.tasks.resume(name)
        return {"tasks": self.tasks()}


@contextmanager
def _asked() -> Iterator[_Service | _House]:
    client = connect(config.home())
    if client is not None:
        yield _Service(client)
        return
    with opened_app() as app:
        yield _House(app)


def _time(text: str | None) -> str:
    return "" if text is None else text[:19].replace("T", " ")


_ACTS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": _list, "history": _history, "run": _run, "suspend": _suspend, "resume": _resume,
}  # fmt: skip
