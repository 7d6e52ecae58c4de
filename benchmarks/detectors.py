"""What detectors find in recorded sessions, how much of it is right, and what looking costs.

    python benchmarks/detectors.py --data ../shared/data             recordings and public transcripts, lived through day by day
    python benchmarks/detectors.py --data ../shared/data --show      with each statement, its evidence and its label
    python benchmarks/detectors.py --sample                          the same, of the bundled sample
    python benchmarks/detectors.py --speed 100000                    CPU of a look at so many activities of one customer

Labels are in detectors_labels.json, by atom: true where somebody who read the evidence agrees that the statement is right
and worth telling. The recordings were made in a folder for each scenario; they count as one project here, which is what
they play. Beside the CPU of a look stands that of reading the same signals once, column by column: no detector can be
cheaper.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from benchmarks import machine

from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.hook import interpret
from cdesk.capture.transcript import TranscriptFile
from cdesk.clock import Clock
from cdesk.query.insights import FOUND_MAX, Insights
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.sample import write
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

LABELS = Path(__file__).with_name("detectors_labels.json")
PERSON = Person("ada@example.org", "host_benchmark", None)
PRICES = PriceBook.bundled()
TASKS = ("note_signals", "detect_patterns")
ID_CHARACTERS = 12
RUNS = 5
LOOK = "SELECT count(*), sum(hash(ts, customer, project_path, session_id, kind, key, is_look, is_ok, amount, text)) FROM SIGNAL"


class House:
    """A warehouse, its detectors, and a clock to turn."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        clock = Clock(now_ns=lambda: int(self.now.timestamp()) * 1_000_000_000)
        self.warehouse = DuckDBWarehouse(folder, clock=clock)
        self.runner = Runner(self.warehouse, [task for task in load() if task.name in TASKS], clock=clock)
        self.insights = Insights(self.warehouse, clock=clock)

    def look(self) -> None:
        for task in TASKS:
            if error := self.runner.run(task).error:
                raise SystemExit(f"{task}: {error}")


# -- what is found, and is it right --------------------------------------------------------------------------------


def told(data: Path) -> Iterator[Activity]:
    for path in sorted(data.glob("transcripts/**/*.jsonl")):
        yield from _of_transcript(path)
    for path in sorted(data.glob("recordings/**/projects/**/*.jsonl")):
        yield from map(_in_one_project, _of_transcript(path))
    for path in sorted(data.glob("recordings/**/hooks.jsonl")):
        for line in path.read_text().splitlines():
            call = json.loads(line)
            if call.get("time"):
                at = datetime.fromtimestamp(call["time"], UTC)
                yield from map(_in_one_project, interpret(json.dumps(call["payload"]).encode(), at, PERSON))


def _of_transcript(path: Path) -> Iterator[Activity]:
    for chunk in TranscriptFile(path, PERSON, PRICES).read():
        yield from chunk.activities


def _sample(folder: Path) -> Iterator[Activity]:
    write(folder, datetime(2026, 11, 23, 12, tzinfo=UTC))
    for path in sorted(folder.glob("projects/**/*.jsonl")):
        yield from _of_transcript(path)


def _in_one_project(activity: Activity) -> Activity:
    path = activity.feature_json.get("project_path")
    if not isinstance(path, str):
        return activity
    one = re.sub(r"^/lab/[^/]+/", "/lab/", path)
    return msgspec.structs.replace(activity, feature_json={**activity.feature_json, "project_path": one})


def lived_through(house: House, activities: list[Activity]) -> dict[str, Any]:
    """Every atom that was told on any day, as it was last."""
    found: dict[str, Any] = {}
    days = groupby(sorted(activities, key=lambda one: one.ts), lambda one: one.ts.date())
    for day, those in days:
        house.warehouse.merge(list(those))
        house.now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        house.look()
        found |= {one.id: one for one in house.insights.find(count=FOUND_MAX)}
    return found


def judge(data: Path | None, *, is_shown: bool) -> None:
    """data: None for the bundled sample"""
    labels: dict[str, bool] = json.loads(LABELS.read_text()) if LABELS.exists() else {}
    with TemporaryDirectory() as folder:
        house = House(Path(folder) / "warehouse")
        activities = list(told(data) if data else _sample(Path(folder) / "claude"))
        found = lived_through(house, activities)
        sessions = len({one.session_id for one in activities})
        print(f"{len(activities):,} activities of {sessions} sessions")
        counted: Counter[tuple[str, bool | None]] = Counter()
        for atom in sorted(found.values(), key=lambda one: (one.metric, one.id)):
            label = labels.get(atom.id[:ID_CHARACTERS])
            counted[atom.metric, label] += 1
            if is_shown:
                print(f"\n{atom.id[:ID_CHARACTERS]} {label} {atom.project_path}\n  {atom.statement}")
                for each in house.insights.explain(atom.id).evidence:
                    print(f"    {each.ts[:19]} {(each.session_id or '')[:8]} {' '.join(each.says.split())[:150]}")
        house.warehouse.close()
    print(f"\n{'detector':<24}{'atoms':>7}{'labelled':>10}{'right':>7}{'precision':>11}")
    for rule in sorted({rule for rule, _ in counted}):
        right, wrong = counted[rule, True], counted[rule, False]
        share = f"{right / (right + wrong):.2f}" if right + wrong else "–"
        print(f"{rule:<24}{right + wrong + counted[rule, None]:>7}{right + wrong:>10}{right:>7}{share:>11}")


# -- what it costs -------------------------------------------------------------------------------------------------


def made(count: int) -> Iterator[Activity]:
    """Somebody who works: commands, edits, prompts and answers, over less than 14 days."""
    chance = random.Random(7)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(count):
        project: dict[str, Any] = {"project_path": f"/p{chance.randrange(3)}"}
        kinds: tuple[tuple[str, dict[str, Any]], ...] = (
            ("tool_called", {"tool_name": "Bash", "success": chance.random() < 0.9, "latency_ms": chance.random() * 9e3,
                             "error": "Error: it failed", "parameters": {"command": f"make part{chance.randrange(90)}"}}),
            ("file_edited", {"file_path": f"/p0/file{chance.randrange(300)}.py", "operation": "edit"}),
            ("user_asked", {"prompt_kind": "human", "prompt_text": f"Please do number {chance.randrange(500)}",
                            "prompt_hash": f"h{chance.randrange(500)}"}),
            ("claude_responded", {"model": "m"}),
        )  # fmt: skip
        [(name, features)] = chance.choices(kinds, (35, 25, 2, 38))
        yield Activity(
            activity_id=str(UUID(int=number + 1)), ts=start + timedelta(seconds=number * 1e6 / count), activity=name,
            customer=PERSON.customer, session_id=f"s{number // 200}", source="transcript", feature_json={**project, **features},
            revenue_impact=0.01 if name == "claude_responded" else None,
        )  # fmt: skip


def speed(count: int) -> None:
    with TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.now = datetime(2026, 3, 13, tzinfo=UTC)
        activities = list(made(count))
        for first in range(0, count, 20_000):
            house.warehouse.merge(activities[first : first + 20_000])
        house.look()
        looks, limits = [], []
        for number in range(RUNS):
            one = msgspec.structs.replace(activities[-1], activity_id=str(UUID(int=count + number + 1)))
            house.warehouse.merge([one])
            looks.append(_cpu_ms(house.look))
            limits.append(_cpu_ms(lambda: house.warehouse.query(LOOK)))
        rows = house.warehouse.query("SELECT count(*) FROM SIGNAL").rows[0][0]
        house.warehouse.close()
    print(f"{count:,} activities, {rows:,} signals; after one more: CPU of a look {min(looks):.0f} ms (of {RUNS}: at most "
          f"{max(looks):.0f}); of reading the signals once {min(limits):.0f} ms")  # fmt: skip


def _cpu_ms(work: Any) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with recordings/ and transcripts/")
    parser.add_argument("--sample", action="store_true", help="the bundled sample, which is fiction")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--speed", type=int, metavar="ACTIVITIES")
    given = parser.parse_args()
    if given.data:
        judge(given.data, is_shown=given.show)
    if given.sample:
        judge(None, is_shown=given.show)
    if given.speed:
        print(json.dumps(machine.facts()))
        speed(given.speed)
    if not (given.data or given.sample or given.speed):
        parser.error("say what to look at: --data, --sample or --speed")


if __name__ == "__main__":
    main()
