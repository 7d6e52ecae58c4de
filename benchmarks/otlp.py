"""How many telemetry records a second the receiver takes, stage by stage, in each encoding.

    python benchmarks/otlp.py              a table, and results/otlp.json
    python benchmarks/otlp.py --rounds 9   more rounds

The records are Claude Code's own recorded log exports, put together into exports of 512 records (the exporter's batch) and
1 record. `read` decodes, `told` also turns records into activities, `durable` also redacts and writes the queue, `http`
does all of that through the running service, with one client that waits for each answer. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data" / "recordings"
RECORDS = 4_096
ROUNDS = 5
TOKEN = "a token for this benchmark"


@dataclass(frozen=True)
class Figure:
    """records a second, and microseconds each"""

    encoding: str
    batch: int
    stage: str
    records_per_s: int
    us_per_record: float


def bodies(batch: int) -> list[bytes]:
    """Exports that hold RECORDS records together, each as one process of Claude Code would send it."""
    resource: Any = None
    scope: Any = None
    records: list[Any] = []
    for path in sorted(DATA.glob("*/otlp.jsonl")):
        for line in path.read_text().splitlines():
            for of_resource in json.loads(line)["body"].get("resourceLogs", ()):
                resource = of_resource["resource"]
                for of_scope in of_resource["scopeLogs"]:
                    scope = of_scope["scope"]
                    for record in of_scope["logRecords"]:
                        records.append({k: v for k, v in record.items() if k not in ("traceId", "spanId")})
    many = (records * (RECORDS // len(records) + 1))[:RECORDS]
    return [
        json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [
            {"scope": scope, "logRecords": many[at : at + batch]},
        ]}]}, separators=(",", ":")).encode()
        for at in range(0, RECORDS, batch)
    ]  # fmt: skip


def as_protobuf(body: bytes) -> bytes:
    return bytes(json_format.Parse(body, ExportLogsServiceRequest()).SerializeToString())


def measure(encoding: str, batch: int, folder: Path, rounds: int) -> Iterator[Figure]:
    from cdesk.activity.model import Person
    from cdesk.activity.pricing import PriceBook
    from cdesk.app import App
    from cdesk.capture.otlp import wire_json, wire_protobuf
    from cdesk.capture.otlp.claude_code import ClaudeCode
    from cdesk.capture.otlp.receiver import Receiver
    from cdesk.config import Home, Settings

    is_json = encoding == "json"
    exports = bodies(batch) if is_json else [as_protobuf(body) for body in bodies(batch)]
    read = wire_json.logs if is_json else wire_protobuf.logs
    person, prices = Person("somebody", "host", None), PriceBook.bundled()
    claude_code = ClaudeCode(person, prices)
    app = App(Home(folder / "home"), Settings(), {"HOME": str(folder)})
    receiver = Receiver(app.gate, person, prices)

    def told(body: bytes) -> None:
        for record in read(body):
            claude_code.event(record)

    stages: dict[str, Callable[[bytes], object]] = {
        "read": read, "told": told, "durable": lambda body: receiver.logs(body, is_json=is_json),
    }  # fmt: skip
    try:
        for stage, act in stages.items():
            yield _figure(encoding, batch, stage, exports, act, rounds)
        with _Service(app) as service:
            media_type = "application/json" if is_json else "application/x-protobuf"
            yield _figure(encoding, batch, "http", exports, lambda body: service.post(body, media_type), rounds)
    finally:
        app.close()


def _figure(
    encoding: str, batch: int, stage: str, exports: list[bytes], act: Callable[[bytes], object], rounds: int
) -> Figure:
    took = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for body in exports:
            act(body)
        took.append(time.perf_counter() - start)
    seconds = statistics.median(took[1:])
    return Figure(encoding, batch, stage, round(RECORDS / seconds), round(seconds / RECORDS * 1e6, 1))


class _Service:
    def __init__(self, app: Any) -> None:
        import httpx
        import uvicorn

        from cdesk.capture.backfill import Progress
        from cdesk.surface.http import service

        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        asgi = service.create(app, TOKEN, port, Progress())
        self._server = uvicorn.Server(uvicorn.Config(asgi, log_config=None, access_log=False, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"})

    def __enter__(self) -> _Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join()

    def post(self, body: bytes, media_type: str) -> None:
        answer = self._client.post("/v1/logs", content=body, headers={"Content-Type": media_type})
        if answer.status_code != 200:
            raise SystemExit(f"the service answered {answer.status_code}: {answer.text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    if not DATA.exists():
        print("needs ../shared/data/recordings beside this repository", file=sys.stderr)
        return 1
    figures = []
    print(f"{'encoding':10}{'batch':>6}  {'stage':8}{'records/s':>12}{'us each':>10}")
    for encoding in ("json", "protobuf"):
        for batch in (512, 1):
            with tempfile.TemporaryDirectory() as folder:
                for figure in measure(encoding, batch, Path(folder), rounds):
                    figures.append(figure)
                    print(
                        f"{encoding:10}{batch:>6}  {figure.stage:8}{figure.records_per_s:>12,}{figure.us_per_record:>10}"
                    )
    result = {"machine": machine.facts(), "records": RECORDS, "figures": [asdict(figure) for figure in figures]}
    (machine.RESULTS / "otlp.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
