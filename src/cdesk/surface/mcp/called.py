"""Each call of a tool is itself an activity, told after it was answered.

Claude Code says in `_meta` which tool call of the session it is, and hooks and transcripts know the call by the same
name: so they meet in one row (`activity/identity.py`, kind mcp). A call that names nothing is a fact of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Person
from cdesk.clock import Clock
from cdesk.surface.mcp.desk import Caller

TOOL_USE_KEY = "claudecode/toolUseId"
TOOL_USE_CHARACTERS_MAX = 128
SERVER = "cdesk"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One answered call. began_ns: since 1970 · latency_ms: until the answer stood · size: of the answer, bytes
    cache_hit, age_ms, stale: of the context that was given, where one was asked for"""

    method: str
    tool_use_id: str | None
    began_ns: int
    latency_ms: float
    size: int
    error: str | None = None
    cache_hit: bool | None = None
    age_ms: float | None = None
    stale: bool | None = None


def tool_use_id(meta: Mapping[str, Any]) -> str | None:
    """The session's name of the call, when it looks like one."""
    given = meta.get(TOOL_USE_KEY)
    if isinstance(given, str) and 0 < len(given) <= TOOL_USE_CHARACTERS_MAX and given.isprintable():
        return given
    return None


def activity(call: Call, caller: Caller, person: Person, clock: Clock) -> Activity:
    """The call as it is recorded."""
    features: Features = {
        "method": call.method, "mcp_server": SERVER, "tool_use_id": call.tool_use_id, "latency_ms": call.latency_ms,
        "success": call.error is None, "error": call.error, "cache_hit": call.cache_hit, "cache_age_ms": call.age_ms,
        "stale": call.stale, "context_size": call.size, "project_path": caller.project_path,
    }  # fmt: skip
    parts = (call.tool_use_id,) if call.tool_use_id else (call.method, str(call.began_ns), clock.name())
    return told("mcp_called", activity_id("mcp", *parts), features, call.began_ns, caller, person)


def told(
    name: str, id_: str, features: Features, at_ns: int, caller: Caller, person: Person, **columns: Any
) -> Activity:
    """An activity that this server tells of this session and person."""
    return Activity(
        activity_id=id_, ts=Clock(lambda: at_ns).now(), activity=name, customer=person.customer, org_id=person.org_id,
        anonymous_customer_id=person.anonymous_customer_id, session_id=caller.session_id, source="mcp",
        feature_json={key: value for key, value in features.items() if value is not None}, **columns,
    )  # fmt: skip
