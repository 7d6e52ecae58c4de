"""How fast `cdesk import` is, beside the least that any import must do: read, decode, insert.

    python benchmarks/import_rate.py                      200 MB of made-up transcripts
    python benchmarks/import_rate.py --megabytes 1000     more of them
    python benchmarks/import_rate.py --tree DIR --times 5 real transcripts, five times with fresh ids

The bound, one process: every file is read, every line decoded by msgspec, and the same bytes go as JSON text into a
durable DuckDB file. The import, one process: `cdesk import` into a fresh home. Both are timed from start to exit of the
process, turn by turn in one run. Goals: ratio >= 0.5, peak memory < 400 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
ROUNDS = 3
RATIO_GOAL = 0.5
PEAK_MB_GOAL = 400
PADDING = 280
"""Lines in a made-up file or log; makes the mean line about 4 KB, as in real transcripts."""
BATCH_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Tree:
    """What is imported: megabytes are 10^6 bytes."""

    folder: Path
    files: int
    lines: int
    megabytes: float


@dataclass(frozen=True)
class Run:
    """One process from start to exit."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


# -- what is imported ----------------------------------------------------------------------------------------------


def made_up(megabytes: int) -> Path:
    """A tree of sample sessions with large files and long logs, kept between runs."""
    from cdesk.sample import scene
    from cdesk.sample.story import PROJECTS

    folder = CACHE / f"transcripts-{megabytes}mb-{PADDING}"
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    written, number = 0, 0
    while written < megabytes * 1_000_000:
        project = PROJECTS[number % len(PROJECTS)]
        task = project.tasks[number // len(PROJECTS) % len(project.tasks)]
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number % 7000, minutes=number % 60)
        for path, content in scene.work(
            project, task, number, at, Random(f"benchmark {number}"), padding=PADDING
        ).files():
            written += _put(folder / "projects" / path, content)
        number += 1
    (folder / "complete").touch()
    return folder


_IDS = re.compile(
    rb"\b([0-9a-f]{8})(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b|\b((?:msg|req|toolu)_\w+)|(\bagent-|\"agentId\": ?\")([0-9a-f]+)"
)


def copies(tree: Path, times: int) -> Path:
    """The transcripts below `tree`, each `times` times with ids of its own."""
    folder = Path(tempfile.mkdtemp(prefix="copies-", dir=CACHE))
    for number in range(times):
        for path in sorted(tree.rglob("*")):
            if path.is_file() and path.name.endswith((".jsonl", ".meta.json")):
                name = _renamed(str(path.relative_to(tree)).encode(), number).decode()
                _put(folder / "projects" / f"copy-{number}" / name, _renamed(path.read_bytes(), number))
    return folder


def _renamed(content: bytes, number: int) -> bytes:
    def fresh(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return b"%08x%s" % (int(found[1], 16) ^ number * 2_654_435_761 & 0xFFFFFFFF, found[2])
        return b"%s%04x" % (found[3], number) if found[3] else b"%s%s%04x" % (found[4], found[5], number)

    return _IDS.sub(fresh, content)


def _put(path: Path, content: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content) if path.name.endswith(".jsonl") else 0


def measured(folder: Path) -> Tree:
    contents = [path.read_bytes() for path in folder.rglob("*.jsonl")]
    size = sum(map(len, contents))
    return Tree(folder, len(contents), sum(content.count(b"\n") for content in contents), round(size / 1e6, 1))


# -- the bound -----------------------------------------------------------------------------------------------------


def bound(tree: Path, database: Path) -> None:
    """The least an import must do. The insert is the fastest of those tried (`--inserts`)."""
    import msgspec

    paths = sorted(tree.rglob("*.jsonl"))
    decode = msgspec.json.Decoder().decode
    for path in paths:
        for line in path.read_bytes().splitlines():
            decode(line)
    insert(database, paths, "read_ndjson_objects")


def insert(database: Path, paths: list[Path], how: str) -> None:
    """Every line of the files as one JSON text in a durable DuckDB file."""
    import duckdb

    names = [str(path) for path in paths]
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE lines (line JSON)")
        if how == "read_ndjson_objects":
            connection.execute(
                "INSERT INTO lines SELECT json FROM read_ndjson_objects($1, maximum_object_size=67108864)", [names]
            )
        elif how == "read_csv":
            connection.execute(
                """INSERT INTO lines SELECT line FROM read_csv($1, columns={'line': 'VARCHAR'}, delim='\x01', quote='',
                   escape='', header=false, auto_detect=false, max_line_size=67108864)""", [names],
            )  # fmt: skip
        elif how == "read_text":
            connection.execute(
                "INSERT INTO lines SELECT unnest(string_split(rtrim(content, chr(10)), chr(10))) FROM read_text($1)",
                [names],
            )
        else:
            for batch in _batches(paths):
                connection.execute("INSERT INTO lines SELECT unnest($1::VARCHAR[])", [batch])


def _batches(paths: list[Path]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for path in paths:
        content = path.read_text("utf-8")
        batch += content.splitlines()
        size += len(content)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def inserts(tree: Tree) -> None:
    """Which way of inserting is the fastest here."""
    paths = sorted(tree.folder.rglob("*.jsonl"))
    for how in ("read_ndjson_objects", "read_csv", "read_text", "parameters"):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            insert(Path(folder) / "lines.duckdb", paths, how)
            print(f"{how:<20} {tree.megabytes / (time.perf_counter() - start):8.1f} MB/s")


# -- measuring -----------------------------------------------------------------------------------------------------


def run(command: list[str], environment: dict[str, str]) -> Run:
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return Run(round(seconds, 3), round(used.ru_utime + used.ru_stime, 3), round(used.ru_maxrss / 1024, 1))


def one_round(tree: Tree) -> tuple[Run, Run]:
    """The bound, then the import, each in fresh folders."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        environment = {**os.environ, "CDESK_HOME": f"{folder}/home", "CLAUDE_CONFIG_DIR": str(tree.folder)}
        least = run([sys.executable, __file__, "--bound", str(tree.folder), f"{folder}/lines.duckdb"], environment)
        ours = run([sys.executable, "-m", "cdesk", "import"], environment)
        return least, ours


def result(tree: Tree, rounds: list[tuple[Run, Run]]) -> dict[str, object]:
    ratio = statistics.median(least.seconds / ours.seconds for least, ours in rounds)
    cpu_ratio = statistics.median(least.cpu_seconds / ours.cpu_seconds for least, ours in rounds)
    peak = max(ours.peak_mb for _, ours in rounds)
    return {
        "benchmark": "import_rate", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        "files": tree.files, "lines": tree.lines, "megabytes": tree.megabytes,
        "mean_line_bytes": round(tree.megabytes * 1e6 / tree.lines),
        "bound": _summary(tree, [least for least, _ in rounds]), "import": _summary(tree, [ours for _, ours in rounds]),
        "ratio": round(ratio, 3), "cpu_ratio": round(cpu_ratio, 3), "ratio_goal": RATIO_GOAL, "peak_mb": peak, "peak_mb_goal": PEAK_MB_GOAL,
        "reached": ratio >= RATIO_GOAL and peak < PEAK_MB_GOAL,
    }  # fmt: skip


def _summary(tree: Tree, runs: list[Run]) -> dict[str, object]:
    seconds = statistics.median(run.seconds for run in runs)
    return {
        "seconds": seconds, "mb_per_s": round(tree.megabytes / seconds, 1), "lines_per_s": round(tree.lines / seconds),
        "peak_mb": max(run.peak_mb for run in runs), "runs": [asdict(run) for run in runs],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200, metavar="N", help="size of the made-up tree")
    parser.add_argument("--tree", type=Path, metavar="DIR", help="copy the transcripts below this folder instead")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="how often to copy them")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--inserts", action="store_true", help="compare ways to insert, and stop")
    parser.add_argument("--bound", nargs=2, type=Path, metavar=("TREE", "DATABASE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bound:
        bound(*given.bound)
        return
    CACHE.mkdir(exist_ok=True)
    tree = measured(copies(given.tree, given.times) if given.tree else made_up(given.megabytes))
    if given.inserts:
        inserts(tree)
        return
    print(
        f"{tree.files:,} files, {tree.lines:,} lines, {tree.megabytes:,} MB, mean line {tree.megabytes * 1e6 / tree.lines:,.0f} B"
    )
    print(f"{'':8}{'seconds':>9}{'CPU s':>9}{'MB/s':>9}{'lines/s':>10}{'peak MB':>9}")
    rounds: list[tuple[Run, Run]] = []
    for _ in range(given.rounds):
        rounds.append(one_round(tree))
        for name, one in zip(("bound", "import"), rounds[-1], strict=True):
            print(f"{name:<8}{one.seconds:9.2f}{one.cpu_seconds:9.2f}{tree.megabytes / one.seconds:9.1f}"
                  f"{tree.lines / one.seconds:10,.0f}{one.peak_mb:9.0f}", flush=True)  # fmt: skip
    found = result(tree, rounds)
    print(f"ratio {found['ratio']} (goal {RATIO_GOAL}), peak {found['peak_mb']} MB (goal {PEAK_MB_GOAL})")
    if given.tree:
        shutil.rmtree(tree.folder)
        return
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "import_rate.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
