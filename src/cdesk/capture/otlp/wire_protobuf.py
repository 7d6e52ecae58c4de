"""OTLP/protobuf, decoded by OpenTelemetry's own generated classes. Imported only when the first such export comes."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from cdesk.activity.model import JSON
from cdesk.capture.otlp.record import Attributes, LogRecord, Point, Sender, Span, Unreadable

M = TypeVar("M", bound=Message)


def logs(body: bytes) -> list[LogRecord]:
    """Raises Unreadable."""
    return [
        LogRecord(
            sender, r.time_unix_nano or r.observed_time_unix_nano, r.event_name, _value(r.body),
            _attributes(r.attributes), _id(r.trace_id, 16), _id(r.span_id, 8),
        )
        for of_resource in _decoded(ExportLogsServiceRequest(), body).resource_logs
        for of_scope in of_resource.scope_logs
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for r in of_scope.log_records
    ]  # fmt: skip


def metrics(body: bytes) -> list[Point]:
    """Raises Unreadable."""
    return [
        point
        for of_resource in _decoded(ExportMetricsServiceRequest(), body).resource_metrics
        for of_scope in of_resource.scope_metrics
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for metric in of_scope.metrics
        for point in _points(sender, metric)
    ]


def traces(body: bytes) -> list[Span]:
    """Raises Unreadable."""
    return [
        Span(
            sender, s.name, s.start_time_unix_nano, s.end_time_unix_nano, _attributes(s.attributes),
            _id(s.trace_id, 16), _id(s.span_id, 8), _id(s.parent_span_id, 8),
        )
        for of_resource in _decoded(ExportTraceServiceRequest(), body).resource_spans
        for of_scope in of_resource.scope_spans
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for s in of_scope.spans
    ]  # fmt: skip


def _points(sender: Sender, metric: Metric) -> Iterable[Point]:
    kind = metric.WhichOneof("data")
    if kind == "sum":
        is_counter = metric.sum.is_monotonic
        is_delta = metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        numbers = metric.sum.data_points
    elif kind == "gauge":
        is_counter, is_delta, numbers = False, False, metric.gauge.data_points
    else:
        yield from _distributions(sender, metric, kind)
        return
    for p in numbers:
        value: int | float | None = p.as_int if p.WhichOneof("value") == "as_int" else _finite(p.as_double)
        yield Point(
            sender, metric.name, metric.unit, is_counter, is_delta, p.start_time_unix_nano, p.time_unix_nano,
            value if p.WhichOneof("value") else None, _attributes(p.attributes),
        )  # fmt: skip


def _distributions(sender: Sender, metric: Metric, kind: str | None) -> Iterable[Point]:
    """Histograms and summaries: told apart and counted, but nothing reads their values."""
    if kind is None:
        return
    data = getattr(metric, kind)
    is_delta = getattr(data, "aggregation_temporality", None) == AGGREGATION_TEMPORALITY_DELTA
    for p in data.data_points:
        yield Point(
            sender, metric.name, metric.unit, False, is_delta, p.start_time_unix_nano, p.time_unix_nano, None,
            _attributes(p.attributes),
        )  # fmt: skip


def _decoded(message: M, body: bytes) -> M:
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Unreadable(f"not OTLP/protobuf: {error}") from None
    return message


def _sender(resource: Resource, scope: InstrumentationScope) -> Sender:
    told = _attributes(resource.attributes)
    service, version = told.get("service.name"), told.get("service.version")
    return Sender(
        service if isinstance(service, str) else None, version if isinstance(version, str) else None, scope.name
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs if pair.key}


def _value(value: AnyValue) -> JSON:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            return _finite(value.double_value)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case _:
            return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _id(raw: bytes, size: int) -> str:
    return raw.hex() if len(raw) == size else ""
