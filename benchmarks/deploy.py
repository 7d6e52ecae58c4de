"""How long a deployment takes, beside the bare loop of its statements.

    python benchmarks/deploy.py                 three rounds on each target
    python benchmarks/deploy.py --rounds 10

DuckDB: a file of its own each round. Snowflake: a database of its own in the emulator (tests/snowflake/emulator), by the real
connector; a real account adds the network and its own time for each statement, and nothing here says how much. Bare is the same
statements in the same order, already cut and, for DuckDB, already translated, by the driver alone: what is planned, looked at and
recorded around them is the difference. Blue-green is with `--rows` rows in the stream. Prints only.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb
from benchmarks import machine
from tests.snowflake.conftest import Emulator
from tests.snowflake.emulator import process

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.clock import SYSTEM_CLOCK
from cdesk.config import SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.sql.dialect import to_duckdb
from cdesk.warehouse import deploy
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.blue_green import BlueGreen
from cdesk.warehouse.snowflake.deploy import Deployment, Extra
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse

ROWS = 2_000
ONE_MORE = Extra("tasks/benchmark", "ALTER TABLE METRICS_DUE ADD COLUMN IF NOT EXISTS note VARCHAR;")
_number = itertools.count(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=ROWS, help="in the stream, for blue-green")
    given = parser.parse_args()
    print(machine.facts())
    show("duckdb", [on_duckdb() for _ in range(given.rounds)])
    with emulator() as server:
        on_snowflake(server, 0)  # the emulator's first statements also load its parsers
        show("snowflake, emulated", [on_snowflake(server, given.rows) for _ in range(given.rounds)])


def on_duckdb() -> dict[str, float]:
    bare = [
        sql for path in sorted(deploy.SCHEMA_FOLDER.glob("[0-9]*.sql")) for sql in to_duckdb(path.read_text("utf-8"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        with duckdb.connect(f"{folder}/bare") as connection:
            took = {f"bare ({len(bare)} statements)": timed(lambda: [connection.execute(sql) for sql in bare])}
        with duckdb.connect(f"{folder}/ours") as connection:
            took |= {
                "plan": timed(lambda: deploy.plan(connection)), "apply": timed(lambda: deploy.apply(connection)),
                "apply again": timed(lambda: deploy.apply(connection)), "verify": timed(lambda: deploy.verify(connection)),
                "rollback": timed(lambda: deploy.rollback(connection)),
            }  # fmt: skip
    return took


def on_snowflake(server: Emulator, rows: int) -> dict[str, float]:
    took = bare_on_snowflake(server.settings())
    settings = server.settings()
    sessions = Sessions(settings)
    with sessions.take() as session:
        steps = task.steps(load())
        ours = Deployment(session, settings, steps)
        took |= {
            "plan": timed(ours.plan), "apply": timed(ours.apply), "apply again": timed(ours.apply),
            "verify": timed(ours.verify),
        }  # fmt: skip
        if rows:
            SnowflakeWarehouse(settings, sessions=sessions).merge([fact() for _ in range(rows)])
            swap = BlueGreen(session, settings, [*steps, ONE_MORE], wait=lambda _: None)
            took |= {
                f"blue-green, {rows} rows": timed(swap.apply_beside), "its rollback": timed(swap.rollback),
                "its drop": timed(swap.drop),
            }  # fmt: skip
        took["rollback"] = timed(ours.rollback)
    sessions.close()
    return took


def bare_on_snowflake(settings: SnowflakeSettings) -> dict[str, float]:
    sessions = Sessions(settings)
    with sessions.take() as session:
        files = Deployment(session, settings, task.steps(load())).files()
        bare = [sql for _, text in files for sql in deploy.statements(text)]
        took = timed(lambda: [session.execute(sql, query_id="bare") for sql in bare])
    sessions.close()
    return {f"bare ({len(bare)} statements)": took}


def fact() -> Activity:
    return Activity(
        activity_id=activity_id("deploy", str(next(_number))), ts=SYSTEM_CLOCK.now(), activity="tool_called", customer="ada",
        source="hook", feature_json={"tool_name": "Bash", "latency_ms": 12.5},
    )  # fmt: skip


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def show(target: str, rounds: list[dict[str, float]]) -> None:
    print(f"\n{target}: median of {len(rounds)}")
    bare = statistics.median(next(iter(one.values())) for one in rounds)
    for name in rounds[0]:
        seconds = statistics.median(one[name] for one in rounds)
        print(f"  {name:<28}{seconds * 1000:>10,.0f} ms{seconds / bare:>8.2f} x bare")


@contextmanager
def emulator() -> Iterator[Emulator]:
    if not process.PYTHON.exists():
        raise SystemExit("there is no emulator of Snowflake: `make test`, or set CDESK_EMULATOR_PYTHON")
    with tempfile.TemporaryDirectory() as folder, process.running(Path(folder)) as server:
        yield Emulator(server.port, server.connections)


if __name__ == "__main__":
    main()
