"""What an OTLP export holds, the same for JSON and protobuf: log records, data points and spans, each with its sender.

Only what this house reads is kept. Times are nanoseconds since 1970 UTC, 0 when not told; ids are lower-case hex text,
empty when there is none. Attribute values are plain JSON values; bytes stand as Base64 text.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from cdesk.activity.model import JSON

Attributes: TypeAlias = dict[str, JSON]


class Unreadable(ValueError):
    """The body is not an export in the encoding it claims; `str()` says why. Sending it again cannot help."""


class Sender(msgspec.Struct, frozen=True, gc=False):
    """service, version: the resource's `service.name` and `service.version` · scope: the instrumentation scope"""

    service: str | None
    version: str | None
    scope: str


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    sender: Sender
    at_ns: int
    event_name: str
    body: JSON
    attributes: Attributes
    trace_id: str = ""
    span_id: str = ""


class Point(msgspec.Struct, frozen=True, gc=False):
    """One data point. is_counter: of a monotonic sum · is_delta: counted since `start_ns`, not since the beginning ·
    value: null for histograms and summaries, which Claude Code does not send"""

    sender: Sender
    metric: str
    unit: str
    is_counter: bool
    is_delta: bool
    start_ns: int
    at_ns: int
    value: int | float | None
    attributes: Attributes


class Span(msgspec.Struct, frozen=True, gc=False):
    sender: Sender
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
