"""What loading into Snowflake costs on this side of the wire, and how far behind it the team's warehouse is.

    python benchmarks/snowflake.py                      both parts: minutes
    python benchmarks/snowflake.py --quick              five seconds of each; keeps no results
    python benchmarks/snowflake.py --rate 1000 --seconds 60 --batch-seconds 1 [--json]

The other side is the emulator of the tests (`make test` sets it up), on the same machine. Loading: batches of new facts
through `SnowflakeWarehouse.merge`, which is connector, PUT, COPY and MERGE; the client is a process of its own, so its
CPU and memory are its own. Lag: the service's team consumer beside everything else that the service does; from the return
of an event's append to the return of the `Reader.commit` that covers its last byte. `--batch-seconds` is how long the
consumer gathers, 60 by default where it is used; it is in the lag.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder: `snowflake` is the connector's name, too
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from benchmarks import activities, machine, upload
from tests.snowflake.emulator.process import PYTHON, running

from cdesk.activity.codec import decode_raw
from cdesk.app import App
from cdesk.config import Home, Settings, SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Result, Session, Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.warehouse import STREAM

BATCHES = (500, 5_000, 20_000)
"""Lines: a second's, the uploader's most, and the most when it catches up."""
GZIP_LEVEL = 9
"""As the connector packs."""
SAYS = (
    "This says what cdesk, the connector and the compression cost on a laptop, and that nothing is lost or told twice at this"
    " rate. It says nothing of the real service: there each statement is a round trip of tens to hundreds of milliseconds, a"
    " warehouse resumes in seconds, MERGE runs on other machines and waits for others' locks; here all of it shares this"
    " machine's cores with an emulator that translates SQL in Python."
)


def settings(connections: str, database: str, **more: Any) -> SnowflakeSettings:
    return SnowflakeSettings(
        connection="emulator", connections_file=connections, database=database, role="CDESK_OWNER", **more
    )


# -- the client, in a process of its own ---------------------------------------------------------------------------


class Watch:
    """Stands where `Session.execute` did: how long each kind of statement took, and the file that was sent."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {}
        self.file = b""
        execute = Session.execute

        def timed(session: Session, sql: str, *given: Any, **named: Any) -> Result:
            if named.get("file") is not None:
                self.file = named["file"].getvalue()
            start = time.perf_counter()
            try:
                return execute(session, sql, *given, **named)
            finally:
                kind = next(line.split()[0] for line in sql.splitlines() if line.split() and not line.startswith("--"))
                self.ms.setdefault(kind, []).append((time.perf_counter() - start) * 1000)

        setattr(Session, "execute", timed)  # noqa: B010


def loader(connections: str, database: str, lines: int, seconds: float) -> None:
    """Batches of so many lines, for so long, two at least; and the least that their files cost."""
    warehouse = SnowflakeWarehouse(settings(connections, database))
    watch, stream, folder = Watch(), activities.Stream(f"load-{lines}"), Path(connections).parent
    warehouse.merge([decode_raw(line) for line in stream.lines(100)])
    watch.ms.clear()
    rows = limit_rows = 0
    wall = cpu = limit_wall = limit_cpu = 0.0
    packed = 0
    while wall < seconds or rows < 2 * lines:
        told = [decode_raw(line) for line in stream.lines(lines)]
        start, used = time.perf_counter(), time.process_time()
        merged = warehouse.merge(told)
        wall, cpu = wall + time.perf_counter() - start, cpu + time.process_time() - used
        rows += merged.inserted + merged.updated
        objects = [msgspec.json.decode(line) for line in watch.file.splitlines()]
        start, used = time.perf_counter(), time.process_time()
        packed += _written(objects, folder / "limit.json.gz")
        limit_wall, limit_cpu = limit_wall + time.perf_counter() - start, limit_cpu + time.process_time() - used
        limit_rows += len(objects)
    warehouse.close()
    _tell({
        "lines": lines, "rows": rows, "seconds": wall, "cpu_s": cpu, "peak_mb": _peak_mb(), "bytes_by_row": packed / limit_rows,
        "limit_rows": limit_rows, "limit_seconds": limit_wall, "limit_cpu_s": limit_cpu,
        "ms": {kind: round(statistics.median(took), 1) for kind, took in watch.ms.items()},
    })  # fmt: skip


def _written(objects: list[Any], path: Path) -> int:
    """The limit: the same rows as NDJSON, packed, on disk."""
    encode = msgspec.json.Encoder().encode
    kept = BytesIO()
    with gzip.GzipFile(fileobj=kept, mode="wb", compresslevel=GZIP_LEVEL) as file:
        file.write(b"".join(encode(one) + b"\n" for one in objects))
    with path.open("wb") as on_disk:
        on_disk.write(kept.getvalue())
        os.fsync(on_disk.fileno())
    return kept.tell()


def service(home: str, connections: str, database: str, batch_seconds: float) -> None:
    """Answers one word a line: `usage` while it runs, `quit` with everything that it noted."""
    app = App(
        Home(Path(home)),
        Settings(snowflake=settings(connections, database, load=True, batch_seconds=batch_seconds)),
        {"HOME": home},
    )
    reader = app.team._reader
    commits = upload.Commits(reader.commit)
    setattr(reader, "commit", commits)  # noqa: B010
    app.team.step()  # from now on lines stay until the team has them
    app.start()
    _tell({"open_s": 0.0})
    for word in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": _peak_mb(), "bytes": _bytes(commits)}
        if word.strip() == "quit":
            app.close()
            _tell({**told, "log": commits.log, "dead": app.dead.count()})
            return
        _tell(told)


def _bytes(commits: upload.Commits) -> int:
    return commits.log[-1][1] if commits.log else 0


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Child(upload.Child):
    def __init__(self, *role: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.open_s = float(self._answer()["open_s"])


# -- one run -------------------------------------------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    """CPU seconds of another process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[str, str, int, float]]:
    """connections.toml, database, the emulator's pid, and how long deploying took."""
    if not PYTHON.exists():
        raise SystemExit("there is no emulator of Snowflake: `make test` sets it up, or set CDESK_EMULATOR_PYTHON")
    with running(folder) as server:
        given = settings(str(server.connections), "CDESK_BENCH")
        sessions = Sessions(given)
        start = time.perf_counter()
        with sessions.take() as session:
            Deployment(session, given, task.steps(load())).apply()
        took = time.perf_counter() - start
        sessions.close()
        yield str(server.connections), given.database, server.pid, took


def loaded(connections: str, database: str, pid: int, lines: int, seconds: float) -> dict[str, Any]:
    before = cpu_s(pid)
    done = subprocess.run(
        [sys.executable, __file__, "--loader", connections, database, str(lines), str(seconds)],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    rows, limit_rows = found["rows"], found["limit_rows"]
    return {
        "lines": lines, "rows_per_s": round(rows / found["seconds"]), "us_per_row": round(found["cpu_s"] / rows * 1e6, 1),
        "emulator_us_per_row": round((cpu_s(pid) - before) / rows * 1e6, 1), "peak_mb": round(found["peak_mb"]),
        "bytes_by_row": round(found["bytes_by_row"]), "ms": found["ms"],
        "limit_rows_per_s": round(limit_rows / found["limit_seconds"]),
        "limit_us_per_row": round(found["limit_cpu_s"] / limit_rows * 1e6, 1),
    }  # fmt: skip


def lagged(
    folder: Path, connections: str, database: str, pid: int, rate: int, seconds: float, batch_seconds: float
) -> dict[str, Any]:
    stream = activities.Stream("lag")
    warehouse = SnowflakeWarehouse(settings(connections, database))
    rows_before = warehouse.count()
    child = Child("--service", str(folder / "home"), connections, database, str(batch_seconds))
    producer = upload.Producer(folder / "home", stream)
    try:
        producer.append(100)
        child.wait_until(producer.bytes)
        warm, used, theirs = producer.events, child.ask("usage"), cpu_s(pid)
        took = producer.run(rate, seconds)
        child.wait_until(producer.bytes)
        producer.close()
        told = child.ask("quit")
    finally:
        child.end()
    log = [(float(at), int(size)) for at, size in told["log"]]
    waited = upload.lags(producer.acks[1:], log, warm)
    events = producer.events - warm
    rows, ids = warehouse.query(f"SELECT COUNT(*), COUNT(DISTINCT activity_id) FROM {STREAM}").rows[0]
    warehouse.close()
    return {
        "rate": rate, "seconds": seconds, "batch_seconds": batch_seconds, "accepted_per_s": round(events / took),
        **{f"p{round(share * 100)}_s": round(upload.percentile(waited, share), 2) for share in (0.5, 0.95, 0.99)},
        "max_s": round(waited[-1][0], 2), "drained_s": round(log[-1][0] - producer.acks[-1].at, 2), "batches": len(log) - 1,
        "service_us_per_event": round((told["cpu_s"] - used["cpu_s"]) / events * 1e6, 1),
        "emulator_us_per_event": round((cpu_s(pid) - theirs) / events * 1e6, 1), "peak_mb": round(told["peak_mb"]),
        "lost": rows_before + stream.facts - int(ids), "doubled": int(rows) - int(ids), "dead": told["dead"],
    }  # fmt: skip


# -- what is said --------------------------------------------------------------------------------------------------


def everything(given: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, deployed(Path(name)) as (connections, database, pid, deploy_s):
        tell(f"deployed in {deploy_s:.1f} s\n")
        tell(f"{'lines':>7} {'rows/s':>8} {'us/row':>8} {'emulator':>9} {'MB':>5}   the files alone: {'rows/s':>8} {'us/row':>8} {'B/row':>6}")  # fmt: skip
        loading = []
        for lines in BATCHES[:2] if given.quick else BATCHES:
            one = loaded(connections, database, pid, lines, given.seconds / 6)
            loading.append(one)
            tell(f"{lines:>7,} {one['rows_per_s']:>8,} {one['us_per_row']:>8} {one['emulator_us_per_row']:>9} {one['peak_mb']:>5}"
                 f"                    {one['limit_rows_per_s']:>8,} {one['limit_us_per_row']:>8} {one['bytes_by_row']:>6}")  # fmt: skip
            tell("        " + ", ".join(f"{kind} {ms:,.0f} ms" for kind, ms in one["ms"].items()))
        lag = lagged(Path(name), connections, database, pid, given.rate, given.seconds, given.batch_seconds)
        tell("\nlag, the service's team consumer: " + ", ".join(f"{key} {value}" for key, value in lag.items()))
        limit = loading[min(1, len(loading) - 1)]["limit_rows_per_s"]
        tell(f"{given.rate:,} events a second are {given.rate / limit:.1%} of what the files alone would let through")
    tell(f"\n{SAYS}")
    return {"deploy_s": round(deploy_s, 2), "loading": loading, "lag": lag, "says": SAYS}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=1_000, metavar="N", help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="how long the lag is measured")
    parser.add_argument("--batch-seconds", type=float, default=1.0, metavar="S", help="how long the consumer gathers")
    parser.add_argument("--quick", action="store_true", help="five seconds, small batches; keeps no results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loader", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--service", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # with what was started
    if given.loader:
        loader(given.loader[0], given.loader[1], int(given.loader[2]), float(given.loader[3]))
        return
    if given.service:
        service(given.service[0], given.service[1], given.service[2], float(given.service[3]))
        return
    if given.quick:
        given.seconds = 5.0
    found = {
        "benchmark": "snowflake", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        **everything(given, lambda line: None if given.json else print(line, flush=True)),
    }  # fmt: skip
    if given.json:
        print(json.dumps(found))
    elif not given.quick:
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / "snowflake.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
