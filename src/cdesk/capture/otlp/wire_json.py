r"""OTLP/JSON, as opentelemetry-proto's `docs/specification.md` maps protobuf to it, read leniently.

* `traceId`, `spanId`, `parentSpanId` are hex text in either case; elsewhere bytes are Base64.
* 64-bit integers are decimal text; Claude Code sends plain numbers: both are read.
* An enum is its number; its name, which the mapping forbids, is read as well.
* Unknown fields are ignored, and null counts as missing.
* A lone half of an emoji (JavaScript cuts texts anywhere) becomes U+FFFD instead of costing the whole export.

What is decoded is a tree without cycles, so the garbage collector need not look at it (`gc=False`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

import msgspec

from cdesk.activity.model import JSON
from cdesk.capture.otlp.record import Attributes, LogRecord, Point, Sender, Span, Unreadable
from cdesk.capture.surrogates import has_surrogates, mend_surrogates

INTEGER_DIGITS_MAX = 20
"""2^64 has twenty; longer texts would only cost time."""

_Integer: TypeAlias = int | float | str | None
_Number: TypeAlias = int | float | str | None
_DELTA: tuple[_Integer, ...] = (1, "1", "AGGREGATION_TEMPORALITY_DELTA")
_HEX = frozenset("0123456789abcdef")


class _Values(msgspec.Struct, rename="camel", gc=False):
    values: list[_AnyValue] | None = None


class _KeyValues(msgspec.Struct, rename="camel", gc=False):
    values: list[_KeyValue] | None = None


class _AnyValue(msgspec.Struct, rename="camel", gc=False):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Integer = None
    double_value: _Number = None
    array_value: _Values | None = None
    kvlist_value: _KeyValues | None = None
    bytes_value: str | None = None


class _KeyValue(msgspec.Struct, rename="camel", gc=False):
    key: str | None = None
    value: _AnyValue | None = None


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_KeyValue] | None = None


class _Scope(msgspec.Struct, gc=False):
    name: str | None = None


class _LogRecord(msgspec.Struct, rename="camel", gc=False):
    time_unix_nano: _Integer = None
    observed_time_unix_nano: _Integer = None
    event_name: str | None = None
    body: _AnyValue | None = None
    attributes: list[_KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class _ScopeLogs(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    log_records: list[_LogRecord] | None = None


class _ResourceLogs(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _Logs(msgspec.Struct, rename="camel", gc=False):
    resource_logs: list[_ResourceLogs] | None = None


class _Point(msgspec.Struct, rename="camel", gc=False):
    start_time_unix_nano: _Integer = None
    time_unix_nano: _Integer = None
    as_double: _Number = None
    as_int: _Integer = None
    attributes: list[_KeyValue] | None = None


class _Data(msgspec.Struct, rename="camel", gc=False):
    data_points: list[_Point] | None = None
    aggregation_temporality: int | str | None = None
    is_monotonic: bool | None = None


class _Metric(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    unit: str | None = None
    sum: _Data | None = None
    gauge: _Data | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None
    summary: _Data | None = None


class _ScopeMetrics(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    metrics: list[_Metric] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_metrics: list[_ScopeMetrics] | None = None


class _Metrics(msgspec.Struct, rename="camel", gc=False):
    resource_metrics: list[_ResourceMetrics] | None = None


class _Span(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    start_time_unix_nano: _Integer = None
    end_time_unix_nano: _Integer = None
    attributes: list[_KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None


class _ScopeSpans(msgspec.Struct, rename="camel", gc=False):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel", gc=False):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Traces(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_ResourceSpans] | None = None


_logs = msgspec.json.Decoder(_Logs)
_metrics = msgspec.json.Decoder(_Metrics)
_traces = msgspec.json.Decoder(_Traces)
T = TypeVar("T")


def logs(body: bytes) -> list[LogRecord]:
    """Raises Unreadable."""
    return _reading(lambda: [
        LogRecord(
            sender, _whole(r.time_unix_nano) or _whole(r.observed_time_unix_nano), r.event_name or "",
            _value(r.body), _attributes(r.attributes), _id(r.trace_id, 32), _id(r.span_id, 16),
        )
        for of_resource in _decoded(_logs, body).resource_logs or ()
        for of_scope in of_resource.scope_logs or ()
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for r in of_scope.log_records or ()
    ])  # fmt: skip


def metrics(body: bytes) -> list[Point]:
    """Raises Unreadable."""
    return _reading(lambda: [
        point
        for of_resource in _decoded(_metrics, body).resource_metrics or ()
        for of_scope in of_resource.scope_metrics or ()
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for metric in of_scope.metrics or ()
        for point in _points(sender, metric)
    ])  # fmt: skip


def traces(body: bytes) -> list[Span]:
    """Raises Unreadable."""
    return _reading(lambda: [
        Span(
            sender, s.name or "", _whole(s.start_time_unix_nano), _whole(s.end_time_unix_nano),
            _attributes(s.attributes), _id(s.trace_id, 32), _id(s.span_id, 16), _id(s.parent_span_id, 16),
        )
        for of_resource in _decoded(_traces, body).resource_spans or ()
        for of_scope in of_resource.scope_spans or ()
        if (sender := _sender(of_resource.resource, of_scope.scope))
        for s in of_scope.spans or ()
    ])  # fmt: skip


def _points(sender: Sender, metric: _Metric) -> Iterable[Point]:
    counter, others = metric.sum, (metric.gauge, metric.histogram, metric.exponential_histogram, metric.summary)
    for data in (counter, *others):
        if data is None:
            continue
        is_counter = data is counter and data.is_monotonic is True
        is_delta = data.aggregation_temporality in _DELTA
        for p in data.data_points or ():
            value = _number(p.as_double) if p.as_double is not None else _integer(p.as_int)
            yield Point(
                sender, metric.name or "", metric.unit or "", is_counter, is_delta, _whole(p.start_time_unix_nano),
                _whole(p.time_unix_nano), value, _attributes(p.attributes),
            )  # fmt: skip


def _reading(read: Callable[[], T]) -> T:
    try:
        return read()
    except msgspec.ValidationError as error:
        raise Unreadable(f"not OTLP/JSON: {error}") from None
    except (ValueError, OverflowError) as error:
        raise Unreadable(str(error)) from None
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except ValueError as error:
        if not has_surrogates(body):
            raise Unreadable(f"not valid JSON: {error}") from None
    try:
        return decoder.decode(mend_surrogates(body))
    except msgspec.ValidationError:
        raise
    except ValueError as error:
        raise Unreadable(f"not valid JSON: {error}") from None


def _sender(resource: _Resource | None, scope: _Scope | None) -> Sender:
    told = _attributes(resource.attributes if resource else None)
    service, version = told.get("service.name"), told.get("service.version")
    return Sender(
        service if isinstance(service, str) else None,
        version if isinstance(version, str) else None,
        (scope.name if scope else None) or "",
    )


def _attributes(pairs: list[_KeyValue] | None) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs or () if pair.key}


def _value(value: _AnyValue | None) -> JSON:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _integer(value.int_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _number(value.double_value)
    if value.array_value is not None:
        return [_value(item) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)
    return value.bytes_value


def _integer(value: _Integer) -> int | None:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        if len(value) > INTEGER_DIGITS_MAX or not value.removeprefix("-").isascii():
            raise Unreadable(f"{value[:INTEGER_DIGITS_MAX]!r}… is not a 64-bit integer")
        try:
            return int(value)
        except ValueError:
            raise Unreadable(f"{value!r} is not a 64-bit integer") from None
    if value.is_integer():
        return int(value)
    raise Unreadable(f"{value!r} is not a 64-bit integer")


def _whole(value: _Integer) -> int:
    return max(0, _integer(value) or 0)


def _number(value: _Number) -> int | float | None:
    """NaN and infinities are texts in this mapping, and no figure anyone can use."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError as error:
            raise Unreadable(str(error)) from None
    return None if value is None or not math.isfinite(value) else value


def _id(text: str | None, digits: int) -> str:
    """Base64, which generic protobuf libraries wrongly write here, is no id."""
    lower = (text or "").lower()
    return lower if len(lower) == digits and set(lower) <= _HEX else ""
