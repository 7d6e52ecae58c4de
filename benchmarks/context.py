"""How fast a context is read in process, and how soon an event is in its context.

    python benchmarks/context.py                    both
    python benchmarks/context.py --contexts 20000   a fuller cache
    python benchmarks/context.py --events 100       more of the second

Reads are interleaved with raw SQLite look-ups of as many bytes in the same run, warm, and with opening the file for
each read, as a hook does. An event's time runs from before it is durable in the queue until a reader of the cache file
sees it, in a service of its own that is otherwise idle, events SPACED_S apart; a flush of the disk is shown beside it.
Goals: read P99 < 1 ms and, of the same project again, P50 ≤ 2 × the raw look-up; event → context changed P95 < 1 s.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.app import App
from cdesk.config import Home, PersonSettings, Settings
from cdesk.context.cache import ContextCache, ContextReader
from cdesk.context.model import Context, ContextKey, Statement

STATEMENTS = 40
READS = 5_000
SAME = 8
"""Contexts that one process reads in its life: what a reader holds is not decoded again."""
SPACED_S = 1.3
PATIENCE_S = 30.0
LOOK_S = 0.002


def reads(contexts: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each read, by way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "context" / "cache.sqlite"
        cache = ContextCache(path)
        keys = [ContextKey(f"customer{n % 100}@example.org", f"/work/project{n}") for n in range(contexts)]
        for start in range(0, contexts, 500):
            cache.keep([_context(key) for key in keys[start : start + 500]])
        size = _size(path)
        raw = _raw(Path(folder) / "raw.sqlite", contexts, size)
        reader, anybody = ContextReader(path), ContextReader(path)
        ways: dict[str, Callable[[int], object]] = {
            "raw SQLite look-up": lambda n: raw.execute("SELECT v FROM kv WHERE k = ?", (f"key{n}",)).fetchone(),
            "read, the same project again": lambda n: reader.read(keys[n % SAME]),
            "read, any project": lambda n: anybody.read(keys[n]),
            "open, read, close": lambda n: _opened(path, keys[n]),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            number = random.randrange(contexts)
            for name, way in ways.items():
                begun = time.perf_counter()
                assert way(number) is not None
                found[name].append(time.perf_counter() - begun)
        cache.close()
        return found


def _context(key: ContextKey) -> Context:
    told = tuple(
        Statement(
            f'The tool "Bash" failed on 2026-11-28 09:{n:02} UTC: "exit code 1 in test_{n}".', "failure",
            (f"activity:{n:08x}-0000-0000-0000-{n:012x}",), "failed lately; failure weighs 1 for default", 1 - n / 100,
        )
        for n in range(STATEMENTS)
    )  # fmt: skip
    return Context(key, told, time.time(), time.time(), f"{random.getrandbits(64):x}")


def _size(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT max(length(body)) FROM context").fetchone()[0])


def _raw(path: Path, rows: int, size: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB)")
    with connection:
        connection.executemany("INSERT INTO kv VALUES (?, ?)", ((f"key{n}", b"x" * size) for n in range(rows)))
    return connection


def _opened(path: Path, key: ContextKey) -> Context | None:
    reader = ContextReader(path)
    try:
        return reader.read(key)
    finally:
        reader.close()


def events(count: int) -> list[float]:
    """Seconds from handing an event in until it is in its context."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        app = App(home, Settings(person=PersonSettings(customer="ada")), {"HOME": folder})
        app.start()
        app.keep_fresh()
        reader = ContextReader(home.context)
        try:
            return [_event(app, reader, number) for number in range(count + 3)][3:]
        finally:
            app.close()


def _event(app: App, reader: ContextReader, number: int) -> float:
    time.sleep(SPACED_S * (0.5 + random.random()))
    begun = time.perf_counter()
    app.intake.take([{
        "activity": "tool_called", "ts": datetime.now(UTC).isoformat(), "customer": "ada", "activity_id": f"e{number}",
        "_session_id": "s1", "feature_json": {"tool_name": "Bash", "tool_use_id": f"t{number}", "success": False,
                                              "error": f"number {number} failed", "project_path": "/p"},
    }])  # fmt: skip
    app.uploader.wake()
    while time.perf_counter() - begun < PATIENCE_S:
        found = reader.read(ContextKey("ada", "/p"))
        if found is not None and any(f"number {number} failed" in one.text for one in found.statements):
            return time.perf_counter() - begun
        time.sleep(LOOK_S)
    raise SystemExit(f"event {number} was not in the context after {PATIENCE_S:g} s")


def _figures(took: list[float], unit: float) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "p50": round(statistics.median(ordered) * unit, 2), "p95": round(ordered[int(len(ordered) * 0.95)] * unit, 2),
        "p99": round(ordered[int(len(ordered) * 0.99)] * unit, 2), "max": round(ordered[-1] * unit, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, default=2_000)
    parser.add_argument("--reads", type=int, default=READS)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results")
    given = parser.parse_args()
    found = {name: _figures(took, 1e6) for name, took in reads(given.contexts, given.reads).items()}
    raw = found["raw SQLite look-up"]["p50"]
    ratio = {name: round(figures["p50"] / raw, 2) for name, figures in found.items()}
    figures = {
        "machine": machine.facts(), "contexts": given.contexts, "read_us": found, "read_p50_to_raw": ratio,
        "event_to_context_s": _figures(events(given.events), 1) if given.events else None,
    }  # fmt: skip
    print(json.dumps(figures, indent=2))
    if given.write:
        (machine.RESULTS / "context.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
