"""The OTLP routes of a live service on loopback, asked by OpenTelemetry's own SDK and by raw requests."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tests import blank
from tests.shared_data import shared_data

from cdesk.activity.pricing import PriceBook
from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.config import Home, PersonSettings, QueueSettings, Settings
from cdesk.governance.consent import Consent
from cdesk.surface.http import otlp, service

Status: Any = import_module("google.rpc.status_pb2").Status
TOKEN = "a token for tests"
JSON, PROTOBUF = otlp.JSON, otlp.PROTOBUF
RESPONSES: dict[str, Any] = {
    "logs": ExportLogsServiceResponse, "metrics": ExportMetricsServiceResponse, "traces": ExportTraceServiceResponse,
}  # fmt: skip
REJECTED = {"logs": "rejectedLogRecords", "metrics": "rejectedDataPoints", "traces": "rejectedSpans"}


@dataclass
class Live:
    app: App
    url: str
    client: httpx.Client

    def post(self, signal: str, body: bytes, media_type: str = JSON, **headers: str) -> httpx.Response:
        return self.client.post(f"/v1/{signal}", content=body, headers={"Content-Type": media_type, **headers})

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Of everything that was answered with 200."""
        self.app.uploader.drain()
        return self.app.warehouse.query(sql).rows

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}


def serve(folder: Path, settings: Settings) -> Iterator[Live]:
    blank.put(folder / "warehouse")
    app = App(Home(folder), settings, {"HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder / "claude")})
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    asgi = service.create(app, TOKEN, port, Progress())
    server = uvicorn.Server(uvicorn.Config(asgi, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
        yield Live(app, url, client)
    server.should_exit = True
    thread.join()
    app.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    settings = Settings(person=PersonSettings(customer="ada@example.org"))
    yield from serve(tmp_path_factory.mktemp("home"), settings)


def one(value: Any) -> Any:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def attributes(**told: Any) -> list[Any]:
    return [{"key": key.replace("__", "."), "value": one(value)} for key, value in told.items()]


def events(*records: dict[str, Any], service_name: str = "claude-code") -> bytes:
    """An export of log records, each given by its attributes."""
    return json.dumps({"resourceLogs": [{
        "resource": {"attributes": attributes(service__name=service_name, service__version="2.1.330")},
        "scopeLogs": [{"logRecords": [
            {"timeUnixNano": "1795425225502000000", "attributes": attributes(**told)} for told in records
        ]}],
    }]}).encode()  # fmt: skip


def request(number: int, session: str = "s-1") -> dict[str, Any]:
    return {
        "event__name": "api_request", "session__id": session, "event__sequence": number, "request_id": f"req_{session}_{number}",
        "model": "claude-opus-4-5", "input_tokens": 10, "output_tokens": number, "duration_ms": "120", "ttft_ms": 7,
    }  # fmt: skip


def as_protobuf(body: bytes) -> bytes:
    return bytes(json_format.Parse(body, ExportLogsServiceRequest()).SerializeToString())


# -- what is taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF, "application/json; charset=utf-8"])
@pytest.mark.parametrize("coding", ["", "identity", "gzip", "deflate"])
def test_an_export_is_answered_in_kind(live: Live, media_type: str, coding: str) -> None:
    """Same encoding back, nothing in it when all was taken, and the facts are there."""
    session = f"{media_type}-{coding}"
    body = events(request(1, session), request(2, session))
    body = as_protobuf(body) if media_type == PROTOBUF else body
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}.get(coding, body)
    answer = live.post("logs", packed, media_type, **({"Content-Encoding": coding} if coding else {}))
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type.partition(";")[0])
    assert answer.content == (b"" if media_type == PROTOBUF else b"{}")
    found = live.rows(
        f"SELECT completion_tokens, customer, _source FROM VW_LLM_EVENTS WHERE _session_id = '{session}' ORDER BY 1"
    )
    assert found == [(1, "ada@example.org", "otel"), (2, "ada@example.org", "otel")]


def test_an_export_told_twice_changes_nothing(live: Live) -> None:
    """Exporters send again when the answer got lost."""
    body = events(request(1, "twice"))
    for _ in range(3):
        assert live.post("logs", body).status_code == 200
    assert live.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE _session_id = 'twice'") == [(1,)]


def test_recorded_exports_are_all_taken(live: Live) -> None:
    """Every request that Claude Code made in the recorded sessions."""
    for path in sorted(shared_data("recordings").glob("*/otlp.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            answer = live.post(record["path"].removeprefix("/v1/"), json.dumps(record["body"]).encode())
            assert (answer.status_code, answer.content) == (200, b"{}")
    assert live.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'telemetry_gap_noticed'") == [(0,)]


# -- what is not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "signal", "count"), [
    ("logs.json", "logs", 1), ("events.json", "logs", 1), ("metrics.json", "metrics", 4), ("trace.json", "traces", 1),
])  # fmt: skip
def test_other_senders_get_a_clear_answer(live: Live, name: str, signal: str, count: int) -> None:
    """OTLP's partial success: nothing taken, and why. The official examples come from `my.service`."""
    answer = live.post(signal, (shared_data("otlp-examples") / "examples" / name).read_bytes())
    told = answer.json()["partialSuccess"]
    assert answer.status_code == 200 and told[REJECTED[signal]] == str(count)
    assert "Claude Code's telemetry only" in told["errorMessage"] and "my.service" in told["errorMessage"]


def test_part_of_an_export_may_be_refused(live: Live) -> None:
    """A record without a name is refused, the others are taken; both encodings say the same."""
    body = events(request(1, "part"), {"session__id": "part"})
    told = live.post("logs", body).json()["partialSuccess"]
    answer = ExportLogsServiceResponse.FromString(live.post("logs", as_protobuf(body), PROTOBUF).content)
    assert told == {"rejectedLogRecords": "1", "errorMessage": answer.partial_success.error_message}
    assert answer.partial_success.rejected_log_records == 1 and "event.name" in told["errorMessage"]
    assert live.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE _session_id = 'part'") == [(1,)]


@pytest.mark.parametrize("count", [1, 127, 128, 300])
@pytest.mark.parametrize("signal", ["logs", "metrics", "traces"])
def test_partial_success_in_protobuf(signal: str, count: int) -> None:
    """Our own few bytes are what OpenTelemetry's classes read."""
    from cdesk.capture.otlp.receiver import Outcome

    reason = "why: für alle " + "x" * 200
    answer = RESPONSES[signal].FromString(otlp._success(signal, Outcome(count, reason), PROTOBUF))
    told = json_format.MessageToDict(answer)["partialSuccess"]
    assert told == {REJECTED[signal]: str(count), "errorMessage": reason}


@pytest.mark.parametrize(("status", "body", "headers"), [
    (415, b"{}", {"Content-Type": "text/plain"}),
    (415, b"{}", {"Content-Type": ""}),
    (415, b"{}", {"Content-Encoding": "br"}),
    (400, b"{", {}),
    (400, b"", {}),
    (400, b"\xff\xff\xff", {"Content-Type": PROTOBUF}),
    (400, b"plain", {"Content-Encoding": "gzip"}),
    (400, gzip.compress(b"{}", mtime=0)[:-9], {"Content-Encoding": "gzip"}),
    (400, gzip.compress(b"", mtime=0) * 100, {"Content-Encoding": "gzip"}),
    (413, gzip.compress(b" " * (otlp.BODY_BYTES_MAX + 1), mtime=0), {"Content-Encoding": "gzip"}),
    (413, gzip.compress(gzip.compress(bytes(10**8), mtime=0), mtime=0), {"Content-Encoding": "gzip, gzip"}),
])  # fmt: skip
def test_failures_say_what_is_wrong(live: Live, status: int, body: bytes, headers: dict[str, str]) -> None:
    """A google.rpc.Status in the request's encoding, JSON when that is neither."""
    if headers.get("Content-Encoding") == "gzip, gzip":
        status = 415
    answer = live.post("logs", body, media_type=headers.pop("Content-Type", JSON), **headers)
    assert answer.status_code == status
    if answer.headers["content-type"] == PROTOBUF:
        assert Status.FromString(answer.content).message
    else:
        assert answer.json()["message"] and answer.json()["code"] in (3, 8)


def test_a_bomb_is_not_unpacked(live: Live) -> None:
    """A gigabyte of zeros in a megabyte: refused before it takes memory."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 10)) + packer.flush()
    started = time.monotonic()
    assert live.post("logs", bomb, **{"Content-Encoding": "gzip"}).status_code == 413
    assert time.monotonic() - started < 5


def test_a_body_over_the_limit_is_refused(live: Live) -> None:
    """By its declared length, and by its real one when none is declared."""
    whole = b" " * (otlp.BODY_BYTES_MAX + 1)
    assert live.post("logs", whole).status_code == 413
    parts = (whole[at : at + 65_536] for at in range(0, len(whole), 65_536))
    answer = live.client.post("/v1/logs", content=parts, headers={"Content-Type": JSON})
    assert answer.status_code == 413


def test_strangers_are_not_let_in(live: Live) -> None:
    """No token, no export; and nothing to GET."""
    assert httpx.post(f"{live.url}/v1/logs", content=b"{}", headers={"Content-Type": JSON}).status_code == 401
    assert live.client.get("/v1/logs").status_code in (404, 405)


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_a_full_queue_asks_to_come_back(tmp_path: Path, media_type: str) -> None:
    """503 with Retry-After, and nothing is taken."""
    serving = serve(tmp_path / "home", Settings(queue=QueueSettings(bytes_max=10)))
    live = next(serving)
    try:
        body = events(request(1))
        answer = live.post("logs", as_protobuf(body) if media_type == PROTOBUF else body, media_type)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, str(otlp.RETRY_AFTER_S))
        assert answer.headers["content-type"] == media_type
        assert live.rows("SELECT count(*) FROM CLAUDE_STREAM_V2") == [(0,)]
    finally:
        next(serving, None)


def test_excluded_projects_stay_out(tmp_path: Path) -> None:
    """Telemetry does not say which project it is about: the session's transcript does, and until then nothing is kept."""
    for session, project in (("open", "/work/open"), ("closed", "/work/secret")):
        transcript = tmp_path / "home" / "claude" / "projects" / "p" / f"{session}.jsonl"
        transcript.parent.mkdir(parents=True, exist_ok=True)
        transcript.write_text(
            json.dumps({"type": "summary"}) + "\n" + json.dumps({"type": "user", "cwd": project}) + "\n"
        )
    serving = serve(tmp_path / "home", Settings(consent=Consent(exclude_projects=("/work/secret",))))
    live = next(serving)
    try:
        body = events(request(1, "open"), request(1, "closed"), request(1, "unknown"), request(1, "../p/open"))
        assert live.post("logs", body).json() == {}
        found = live.rows("SELECT DISTINCT _session_id FROM CLAUDE_STREAM_V2 WHERE activity = 'claude_responded'")
        assert found == [("open",)]
    finally:
        next(serving, None)


# -- OpenTelemetry's own SDK ---------------------------------------------------------------------------------------

RESOURCE = Resource({"service.name": "claude-code", "service.version": "2.1.330"})


@pytest.mark.parametrize("compression", list(Compression))
def test_the_sdks_log_exporter(live: Live, compression: Compression) -> None:
    """Claude Code's events, sent by OpenTelemetry for Python."""
    from opentelemetry._logs import LogRecord

    session = f"sdk-{compression.value}"
    exporter = OTLPLogExporter(f"{live.url}/v1/logs", headers=live.headers(), compression=compression)
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("com.anthropic.claude_code.events")
    logger.emit(LogRecord(timestamp=1795425225502000000, body="claude_code.api_request", attributes={
        "event.name": "api_request", "session.id": session, "request_id": f"req_{session}", "output_tokens": 2**53 - 1,
        "model": "claude-opus-4-5", "cost_usd": 0.25,
    }))  # fmt: skip
    provider.shutdown()
    sql = f"SELECT completion_tokens, reported_cost_usd FROM VW_LLM_EVENTS WHERE _session_id = '{session}'"
    assert live.rows(sql) == [(2**53 - 1, 0.25)]


@pytest.mark.parametrize("compression", list(Compression))
def test_the_sdks_metric_exporter(live: Live, compression: Compression) -> None:
    """Cumulative, as that SDK counts: telling the running total again does not add up to more."""
    session = f"metric-{compression.value}"
    exporter = OTLPMetricExporter(f"{live.url}/v1/metrics", headers=live.headers(), compression=compression)
    told: list[MetricExportResult] = []
    export = exporter.export

    def listened(*given: Any, **named: Any) -> MetricExportResult:
        told.append(export(*given, **named))
        return told[-1]

    exporter.export = listened  # type: ignore[method-assign]
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, 1e6)], resource=RESOURCE)
    counter = provider.get_meter("com.anthropic.claude_code").create_counter("claude_code.commit.count")
    for _ in range(3):
        counter.add(1, {"session.id": session})
        provider.force_flush()
    provider.shutdown()
    assert told and set(told) == {MetricExportResult.SUCCESS}
    found = live.rows(f"SELECT feature_json::JSON::VARCHAR FROM CLAUDE_STREAM_V2 WHERE _session_id = '{session}'")
    features = [json.loads(row[0]) for row in found]
    assert [(one["metric"], one["amount"]) for one in features] == [("commit.count", 3)]


@pytest.mark.parametrize("compression", list(Compression))
def test_the_sdks_span_exporter(live: Live, compression: Compression) -> None:
    """A request's span and its event are one response."""
    session = f"span-{compression.value}"
    live.post("logs", events(request(1, session)))
    exporter = OTLPSpanExporter(f"{live.url}/v1/traces", headers=live.headers(), compression=compression)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    told: dict[str, str | bool] = {
        "success": True,
        "request_id": f"req_{session}_1",
        "session.id": session,
        "stop_reason": "end_turn",
    }
    provider.get_tracer("com.anthropic.claude_code.tracing").start_span(
        "claude_code.llm_request", attributes=told
    ).end()
    provider.shutdown()
    sql = f"SELECT stop_reason, total_tokens FROM VW_LLM_EVENTS WHERE _session_id = '{session}'"
    assert live.rows(sql) == [("end_turn", 11)]


def test_lost_events_become_a_row(tmp_path: Path) -> None:
    """A number that never came, once it is beyond doubt; exports told again do not tell it again."""
    from cdesk.capture.otlp.receiver import Receiver
    from cdesk.capture.otlp.sequence import GRACE_S
    from cdesk.capture.person import person
    from cdesk.clock import Clock

    now = [0.0]
    app = App(Home(tmp_path / "home"), Settings(), {"HOME": str(tmp_path)})
    receiver = Receiver(
        app.gate, person(PersonSettings(), tmp_path), PriceBook.bundled(), clock=Clock(monotonic=lambda: now[0])
    )
    bodies = [events(request(0), request(1)), events({**request(4), "event__timestamp": "2026-11-23T09:13:50Z"})]
    try:
        for seconds in (0, GRACE_S, GRACE_S):
            now[0] += seconds
            for body in bodies:
                receiver.logs(body, is_json=True)
        app.uploader.drain()
        sql = "SELECT severity, metrics::JSON::VARCHAR, _session_id FROM VW_SYSTEM_EVENTS"
        [(severity, metrics, session)] = app.warehouse.query(sql).rows
        assert (severity, json.loads(metrics), session) == ("warning", {"expected": 2, "got": 4}, "s-1")
        assert receiver.seen().gaps == 1 and receiver.seen().records == {"api_request": 9}
    finally:
        app.close()
