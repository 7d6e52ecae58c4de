"""Both encodings of OTLP read into the same records; what is no export is refused with a reason, never a crash."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.shared_data import shared_data

from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.otlp import wire_json, wire_protobuf
from cdesk.capture.otlp.claude_code import ClaudeCode, Unusable
from cdesk.capture.otlp.record import Attributes, LogRecord, Point, Sender, Span, Unreadable

Read: TypeAlias = Callable[[bytes], list[Any]]
SIGNALS = ("logs", "metrics", "traces")
REQUESTS = {
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "traces": ExportTraceServiceRequest,
}
EXAMPLES = {"logs.json": "logs", "events.json": "logs", "metrics.json": "metrics", "trace.json": "traces"}
IDS = ("traceId", "spanId", "parentSpanId")


def reader(module: Any, signal: str) -> Read:
    read: Read = getattr(module, signal)
    return read


def protobuf_of(signal: str, export: Any) -> bytes:
    """The same export in protobuf. Google's own JSON reader takes ids for Base64, as its mapping says."""

    def with_base64_ids(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: b64encode(bytes.fromhex(part)).decode() if key in IDS else with_base64_ids(part)
                for key, part in value.items()
            }
        return [with_base64_ids(part) for part in value] if isinstance(value, list) else value

    message = REQUESTS[signal]()
    json_format.ParseDict(with_base64_ids(export), message, ignore_unknown_fields=True)
    return bytes(message.SerializeToString())


def example(name: str) -> Any:
    return json.loads((shared_data("otlp-examples") / "examples" / name).read_text())


@pytest.mark.parametrize(("name", "signal"), EXAMPLES.items())
def test_official_examples_say_the_same_in_both_encodings(name: str, signal: str) -> None:
    """opentelemetry-proto's own examples, as they are and as protobuf."""
    export = example(name)
    from_json = reader(wire_json, signal)(json.dumps(export).encode())
    assert from_json
    assert reader(wire_protobuf, signal)(protobuf_of(signal, export)) == from_json


def test_recordings_say_the_same_in_both_encodings() -> None:
    """Everything Claude Code was recorded to send."""
    count = 0
    for path in sorted(shared_data("recordings").glob("*/otlp.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            signal = record["path"].removeprefix("/v1/")
            from_json = reader(wire_json, signal)(json.dumps(record["body"]).encode())
            assert reader(wire_protobuf, signal)(protobuf_of(signal, record["body"])) == from_json
            count += len(from_json)
    assert count > 1_000


def test_the_log_example_in_full() -> None:
    """Hex ids in either case, and each kind of value."""
    [record] = wire_json.logs(json.dumps(example("logs.json")).encode())
    assert record == LogRecord(
        sender=Sender("my.service", None, "my.library"), at_ns=1544712660300000000, event_name="",
        body="Example log record", trace_id="5b8efff798038103d269b633813fc60c", span_id="eee19b7ec3c1b174",
        attributes={
            "string.attribute": "some string", "boolean.attribute": True, "int.attribute": 10,
            "double.attribute": 637.704, "array.attribute": ["many", "values"],
            "map.attribute": {"some.map.key": "some value"},
        },
    )  # fmt: skip


def one_log(**fields: Any) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]}).encode()


def value_of(value: Any) -> Any:
    [record] = wire_json.logs(one_log(attributes=[{"key": "k", "value": value}]))
    return record.attributes["k"]


@pytest.mark.parametrize(("given", "read"), [
    ({"intValue": 10}, 10), ({"intValue": "10"}, 10), ({"intValue": "-9223372036854775808"}, -(2**63)),
    ({"intValue": "9007199254740993"}, 9007199254740993), ({"intValue": 9007199254740993}, 9007199254740993),
    ({"intValue": 0}, 0), ({"intValue": 1e3}, 1000), ({"doubleValue": "NaN"}, None), ({"doubleValue": "1.5"}, 1.5),
    ({"doubleValue": 0}, 0), ({"boolValue": False}, False), ({"stringValue": ""}, ""), ({"bytesValue": "aGk="}, "aGk="),
    ({"arrayValue": {}}, []), ({"kvlistValue": {"values": [{"key": "a"}]}}, {"a": None}), ({}, None), (None, None),
    ({"intValue": None, "stringValue": "x", "futureValue": {}}, "x"),
])  # fmt: skip
def test_values(given: Any, read: Any) -> None:
    """Integers as numbers or texts, the empty and the false ones too, and null as if it were not there."""
    found = value_of(given)
    assert found == read and type(found) is type(read)


def test_times_are_numbers_or_texts() -> None:
    """An event without its own time has the time it was observed."""
    for at in (1544712660300000000, "1544712660300000000"):
        assert wire_json.logs(one_log(timeUnixNano=at))[0].at_ns == 1544712660300000000
        assert wire_json.logs(one_log(timeUnixNano="0", observedTimeUnixNano=at))[0].at_ns == 1544712660300000000


def test_base64_ids_are_no_ids() -> None:
    """Generic protobuf libraries write ids as Base64, which the OTLP mapping forbids."""
    [record] = wire_json.logs(one_log(traceId="W47/95gDgQPSabYzgT/GDA==", spanId="EEE19B7EC3C1B174"))
    assert (record.trace_id, record.span_id) == ("", "eee19b7ec3c1b174")


@pytest.mark.parametrize("temporality", [1, "1", "AGGREGATION_TEMPORALITY_DELTA"])
def test_enums_are_numbers_or_names(temporality: Any) -> None:
    """The mapping allows numbers only; names are what people write."""
    data = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": [{"asInt": "3"}]}
    [point] = wire_json.metrics(json.dumps({
        "resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "sum": data}]}]}],
    }).encode())  # fmt: skip
    assert (point.is_delta, point.is_counter, point.value) == (True, True, 3)


def test_half_an_emoji_costs_one_character() -> None:
    """JavaScript cuts texts at UTF-16 units; the rest of the export is sound."""
    body = one_log(body={"stringValue": "cut @ whole \U0001f600"}).replace(b"@", rb"\ud83d")
    assert [record.body for record in wire_json.logs(body)] == ["cut � whole \U0001f600"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff", b'{"resourceLogs":3}', b'{"resourceLogs":[3]}',
    one_log(attributes=[{"key": "k", "value": {"intValue": "ten"}}]), one_log(timeUnixNano=True),
    one_log(attributes=[{"key": "k", "value": {"intValue": "9" * 5_000}}]), one_log(timeUnixNano=1.5),
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + b'{"arrayValue":{"values":[' * 50_000,
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + b'{"arrayValue":{"values":[' * 400
    + b"]}}" * 400 + b"}]}]}]}",
])  # fmt: skip
def test_malformed_json_is_refused_or_read(body: bytes) -> None:
    """With a reason of one line; deep nesting included."""
    try:
        wire_json.logs(body)
    except Unreadable as error:
        assert str(error) and "\n" not in str(error)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "resourceLogs", "scopeLogs", "logRecords", "resource", "scope", "attributes", "key", "value", "stringValue",
        "intValue", "doubleValue", "arrayValue", "kvlistValue", "values", "timeUnixNano", "body", "resourceMetrics",
        "scopeMetrics", "metrics", "sum", "dataPoints", "asInt", "asDouble", "resourceSpans", "scopeSpans", "spans",
        "name", "traceId", "isMonotonic", "aggregationTemporality",
    ]), inner, max_size=5), max_leaves=30,
)  # fmt: skip


@given(signal=st.sampled_from(SIGNALS), value=JSONS)
def test_any_json_is_read_or_refused(signal: str, value: Any) -> None:
    """Right names around wrong things included."""
    try:
        reader(wire_json, signal)(json.dumps(value).encode())
    except Unreadable:
        pass


@given(signal=st.sampled_from(SIGNALS), body=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(signal: str, body: bytes) -> None:
    """In either encoding."""
    for module in (wire_json, wire_protobuf):
        try:
            reader(module, signal)(body)
        except Unreadable:
            pass


CLAUDE_CODE = ClaudeCode(Person("ada", "host", None), PriceBook.bundled())
SENDER = Sender("claude-code", "2.1.330", "com.anthropic.claude_code.events")
NAMES = st.sampled_from([
    "event.name", "event.timestamp", "event.sequence", "session.id", "prompt.id", "message.uuid", "prompt", "model",
    "request_id", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_5m_tokens", "cost_usd",
    "duration_ms", "ttft_ms", "speed", "tool_use_id", "tool_name", "tool_input", "tool_parameters", "success", "error",
    "agent_id", "parent_agent_id", "type", "start_type", "server_name", "status", "skill.name", "decision", "response",
    "response_length", "status_code", "attempt", "query_source_safe", "tool_source", "total_tokens", "app.version",
])  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from([
        "user_prompt", "api_request", "assistant_response", "api_error", "tool_decision", "tool_result", "compaction",
        "subagent_completed", "mcp_server_connection", "skill_activated", "mcp_tool", "mcp__a__b", "Read", "true",
        '{"file_path":"/a/b.txt"}', '{"mcp_server_name":"s","mcp_tool_name":"t"}', "1e400", "nan", "-1", "12.5", "[[",
        "2026-11-23T09:13:29.517Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    ]) | st.lists(st.integers(), max_size=2) | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)  # fmt: skip
NANOSECONDS = st.integers(0, 2**64 - 1) | st.just(1_795_425_225_502_000_000)


ATTRIBUTES: st.SearchStrategy[Any] = st.dictionaries(NAMES, VALUES)


@given(attributes=ATTRIBUTES, event=VALUES, at_ns=NANOSECONDS, value=st.none() | st.floats())
def test_any_attributes_tell_something_or_nothing(attributes: Any, event: Any, at_ns: int, value: float | None) -> None:
    """Whatever an attribute holds, a record becomes activities that can be written, or is passed over."""
    from cdesk.activity.codec import decode, encode

    attributes = {**attributes, "event.name": event}
    told: list[Activity] = []
    tells: tuple[Callable[[], list[Activity]], ...] = (
        lambda: CLAUDE_CODE.event(LogRecord(SENDER, at_ns, "", None, attributes)),
        lambda: CLAUDE_CODE.point(
            Point(SENDER, "claude_code.session.count", "", True, True, at_ns, at_ns, 1, attributes)
        ),
        lambda: CLAUDE_CODE.point(
            Point(SENDER, "claude_code.commit.count", "", True, True, 0, at_ns, value, attributes)
        ),
        lambda: CLAUDE_CODE.span(Span(SENDER, "claude_code.llm_request", at_ns, at_ns, attributes)),
    )
    for tell in tells:
        try:
            told += tell()
        except Unusable:
            pass
    for activity in told:
        assert decode(encode(activity)).activity_id == activity.activity_id


def test_a_self_test_arrives() -> None:
    """What the doctor sends is found again by its name."""
    attributes: Attributes = {"event.name": "cdesk_self_test", "cdesk.test": "t-1"}
    [arrived] = CLAUDE_CODE.event(LogRecord(SENDER, 1_795_425_225_502_000_000, "", None, attributes))
    assert (arrived.activity, arrived.feature_json["message"]) == ("self_test_arrived", "t-1")
