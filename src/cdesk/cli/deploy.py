"""`cdesk deploy`: puts tables, views and all else into a warehouse, and says first what it would do."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cdesk import config
from cdesk.app import own
from cdesk.cli import show
from cdesk.errors import ConfigError, UsageError
from cdesk.warehouse import deploy
from cdesk.warehouse.deploy import Finding, Step, Undone


class Deployment(Protocol):
    def plan(self) -> list[Step]: ...
    def apply(self, git_sha: str | None = None) -> list[Step]: ...
    def apply_beside(self, git_sha: str | None = None) -> list[Step]: ...
    def verify(self) -> list[Finding]: ...
    def rollback(self) -> list[Undone]: ...
    def drop(self) -> bool: ...
    def files(self) -> list[tuple[str, str]]: ...


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "deploy",
        "Tables, views and all else that a warehouse is made of. Every step is on record in ACTIVITY_SCHEMA_VERSION.\n\n"
        "  cdesk deploy plan        what would be done; --sql prints it for `snow sql -f`\n"
        "  cdesk deploy apply       do it; a second time does nothing, after a failure it goes on\n"
        "  cdesk deploy verify      compare what is there with what should be\n"
        "  cdesk deploy rollback    undo the newest deployment; tables with rows stay\n"
        "  cdesk deploy drop        give up what --blue-green kept for going back",
    )
    parser.add_argument("act", choices=tuple(_ACTS))
    parser.add_argument("--target", choices=("duckdb", "snowflake"), default="duckdb", help="duckdb by default")
    parser.add_argument("--sql", action="store_true", help="with plan: print the statements")
    parser.add_argument(
        "--files",
        type=Path,
        metavar="FOLDER",
        help="with plan: write every step there, for `snow sql -f` or schemachange",
    )
    parser.add_argument(
        "--blue-green", action="store_true", help="with apply, in Snowflake: build beside, compare, then swap"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    with _TARGETS[given.target]() as deployment:
        return _ACTS[given.act](deployment, given)


def _plan(deployment: Deployment, given: argparse.Namespace) -> int:
    if given.files is not None:
        return _write(given.files, deployment.files())
    steps = deployment.plan()
    if given.json:
        show.json({"steps": [_step(step) for step in steps]})
    elif given.sql:
        print("\n".join(f"-- {step.name}\n{step.sql.strip()}\n" for step in steps))
    else:
        _show(steps, "would run", "Nothing to do: everything is there.")
    return 0


def _write(folder: Path, files: Sequence[tuple[str, str]]) -> int:
    """Under names that schemachange takes for what runs again when it has changed, in this order."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, (name, text) in enumerate(files, 1):
            plain = name.removesuffix(".sql").replace("/", "_")
            (folder / f"R__{place:03}_{plain}.sql").write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}.", "Name another folder.") from None
    print(f"{len(files)} files are in {folder}.")
    return 0


def _apply(deployment: Deployment, given: argparse.Namespace) -> int:
    steps = (deployment.apply_beside if given.blue_green else deployment.apply)(_revision())
    if given.json:
        show.json({"steps": [_step(step) for step in steps]})
    else:
        _show(steps, "ran", "Nothing to do: everything was there.")
    return 0


def _verify(deployment: Deployment, given: argparse.Namespace) -> int:
    found = deployment.verify()
    if given.json:
        show.json({"findings": [{"name": one.name, "said": one.said} for one in found]})
    elif found:
        show.table("", ["what", "finding"], [[one.name, one.said] for one in found], whole=(0,))
    else:
        print("Everything is there and can be read.")
    return 1 if found else 0


def _rollback(deployment: Deployment, given: argparse.Namespace) -> int:
    undone = deployment.rollback()
    if given.json:
        show.json({"steps": [{"name": one.name, "kept": list(one.kept)} for one in undone]})
    elif undone:
        show.table(
            "", ["step", "stays, for it holds rows"], [[one.name, ", ".join(one.kept)] for one in undone], whole=(0,)
        )
    else:
        print("Nothing to undo: no deployment stands that has a way back on record.")
    return 0


def _drop(deployment: Deployment, given: argparse.Namespace) -> int:
    is_gone = deployment.drop()
    if given.json:
        show.json({"dropped": is_gone})
    else:
        print("What was kept is gone; its record stays." if is_gone else "Nothing is kept.")
    return 0


def _show(steps: Sequence[Step], verb: str, nothing: str) -> None:
    if not steps:
        print(nothing)
        return
    show.table(
        "", [f"step that {verb}", "because"], [[step.name, _REASONS[step.reason]] for step in steps], whole=(0, 1)
    )


_REASONS = {
    "new": "it is new",
    "changed": "it changed",
    "follows": "one before it runs",
    "replaced": "the settings chose another",
}


def _step(step: Step) -> dict[str, str | None]:
    return {
        "name": step.name, "reason": step.reason, "checksum_before": step.checksum_before,
        "checksum_after": step.checksum_after,
    }  # fmt: skip


def _revision() -> str | None:
    """Of the checkout that this runs from, if it does."""
    asked = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


class _DuckDB:
    def __init__(self, connection: deploy.Connection) -> None:
        self._connection = connection

    def plan(self) -> list[Step]:
        return deploy.plan(self._connection)

    def apply(self, git_sha: str | None = None) -> list[Step]:
        return deploy.apply(self._connection, git_sha=git_sha)

    def apply_beside(self, git_sha: str | None = None) -> list[Step]:
        raise UsageError(
            "the embedded warehouse has no --blue-green.",
            "It needs none: each step is one transaction, and the queue holds what comes meanwhile.",
        )

    def verify(self) -> list[Finding]:
        return deploy.verify(self._connection)

    def rollback(self) -> list[Undone]:
        return deploy.rollback(self._connection)

    def drop(self) -> bool:
        return False

    def files(self) -> list[tuple[str, str]]:
        return [(path.name, path.read_text("utf-8")) for path in sorted(deploy.SCHEMA_FOLDER.glob("[0-9]*.sql"))]


@contextmanager
def _duckdb() -> Iterator[Deployment]:
    """The service deploys by itself when it starts; while it runs, the database is its own."""
    from cdesk.warehouse.duckdb.store import undeployed

    home = config.home()
    owner = own(home)
    try:
        with undeployed(home.warehouse) as connection:
            yield _DuckDB(connection)
    finally:
        owner.close()


@contextmanager
def _snowflake() -> Iterator[Deployment]:
    from cdesk.refresh.task import load
    from cdesk.warehouse.snowflake import task
    from cdesk.warehouse.snowflake.blue_green import BlueGreen
    from cdesk.warehouse.snowflake.sessions import Sessions
    from cdesk.warehouse.snowflake.trouble import translated

    home = config.home()
    settings = config.snowflake(config.load(home))
    if not settings.is_given:
        raise ConfigError(
            f"no Snowflake account is given in {home.settings}.",
            "Name a connection in its section [snowflake], or set CDESK_SNOWFLAKE_ACCOUNT, _USER and _PRIVATE_KEY_FILE.",
        )
    sessions = Sessions(settings)
    try:
        with translated(), sessions.take() as session:
            yield BlueGreen(session, settings, task.steps(load()))
    finally:
        sessions.close()


_TARGETS = {"duckdb": _duckdb, "snowflake": _snowflake}
_ACTS: dict[str, Callable[[Deployment, argparse.Namespace], int]] = {
    "plan": _plan, "apply": _apply, "verify": _verify, "rollback": _rollback, "drop": _drop,
}  # fmt: skip
