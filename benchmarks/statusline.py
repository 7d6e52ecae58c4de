"""How long the status line takes, as Claude Code runs it.

    python benchmarks/statusline.py                 both ways: alone, and around a command of the person's own
    python benchmarks/statusline.py --rounds 200    more of it

Whole processes, interleaved round by round with `-c pass` of the same interpreter, which is the least any Python status line
can cost: wall time, and CPU time of all that was started. Goal: < 60 ms CPU.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.capture import statusline
from cdesk.context import today
from cdesk.context.cache import ContextCache
from cdesk.context.model import Context, ContextKey
from cdesk.context.today import Today

PROJECT = "/work/shop"
PAYLOAD = json.dumps({"workspace": {"project_dir": PROJECT}, "cost": {"total_cost_usd": 0.31}}).encode()
COMMAND = "echo theirs"


def started(command: list[str]) -> tuple[float, float]:
    """Wall and CPU time, ms."""
    begun, before = time.perf_counter(), _cpu_s()
    said = subprocess.run(command, input=PAYLOAD, capture_output=True, check=True).stdout
    took = ((time.perf_counter() - begun) * 1000, (_cpu_s() - before) * 1000)
    assert said.count(b"this session") == said.count(b"context ") == ("statusline" in str(command)), said
    return took


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(home: Path, rounds: int) -> dict[str, list[tuple[float, float]]]:
    now = time.time()
    today.keep(home / "context" / "today.json", Today("ada", time.strftime("%Y-%m-%d"), 4.2, 0, now))
    cache = ContextCache(home / "context" / "cache.sqlite")
    cache.keep([Context(ContextKey("ada", PROJECT), (), now, None, "v1")])
    ways = {
        "-c pass": [sys.executable, "-P", "-c", "pass"],
        "sh -c theirs": ["sh", "-c", COMMAND],
        "status line": ["sh", "-c", statusline.command_line(home, None)],
        "status line around theirs": ["sh", "-c", statusline.command_line(home, COMMAND)],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, command in ways.items():
            found[name].append(started(command))
    cache.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    print(json.dumps(machine.facts()))
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), given.rounds)
    print(f"{'ms':<28}{'wall p50':>10}{'p95':>8}{'cpu p50':>10}{'p95':>8}")
    for name, each in found.items():
        wall, cpu = (sorted(column) for column in zip(*each, strict=True))
        shown = [
            statistics.median(wall),
            wall[int(0.95 * len(wall))],
            statistics.median(cpu),
            cpu[int(0.95 * len(cpu))],
        ]
        print(f"{name:<28}{shown[0]:>10.1f}{shown[1]:>8.1f}{shown[2]:>10.1f}{shown[3]:>8.1f}")


if __name__ == "__main__":
    main()
