"""JSON-RPC and both eras of MCP: what is whole is answered, what is not is told why."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mcp.desk import MODERN_META, HeldDesk, message, modern, reply, said

from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import CAPABILITIES_KEY, INSTRUCTIONS, SERVER_KEY, VERSION_KEY

CLIENT = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25"), ("1999", "2025-11-25")],
)
def test_initialize_agrees_on_a_revision(asked: str, agreed: str) -> None:
    """The client's own where we know it, else the newest with a handshake."""
    result = said(message("initialize", {"protocolVersion": asked, **CLIENT}))["result"]
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"]["name"] == "cdesk" and result["instructions"] == INSTRUCTIONS
    assert "resultType" not in result, "that is a word of a later revision"


def test_instructions_are_not_cut_by_claude_code() -> None:
    """It cuts at 2 KB."""
    assert len(INSTRUCTIONS.encode()) <= 2_048


def test_discover_says_what_initialize_said() -> None:
    """Without a handshake."""
    result = said(modern("server/discover"))["result"]
    assert result["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18"]
    assert result["resultType"] == "complete" and result["_meta"][SERVER_KEY]["name"] == "cdesk"
    assert result["ttlMs"] > 0 and result["cacheScope"] == "public" and result["instructions"] == INSTRUCTIONS


@pytest.mark.parametrize("asked", [message, modern])
def test_tools_are_listed_in_both_eras(asked: Any) -> None:
    """The same tools in the same order; only the later era speaks of caching."""
    result = said(asked("tools/list"))["result"]
    assert [tool["name"] for tool in result["tools"]] == [
        "get_context", "record_insight", "log_event", "usage", "search_activity", "explain", "list_questions", "ask",
        "get_artifact",
        "submit_query", "get_ticket", "dataset",
    ]  # fmt: skip
    assert ("ttlMs" in result) == ("resultType" in result) == (asked is modern)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (b"{", protocol.PARSE_ERROR),
        (b"\xff\xfe", protocol.PARSE_ERROR),
        (b"[" * 100_000, protocol.PARSE_ERROR),
        (b"[]", protocol.INVALID_REQUEST),
        (b'"x"', protocol.INVALID_REQUEST),
        (b"{}", protocol.INVALID_REQUEST),
        (message("ping", jsonrpc="1.0"), protocol.INVALID_REQUEST),
        (message("ping", id=None), protocol.INVALID_REQUEST),
        (message("ping", id=1.5), protocol.INVALID_REQUEST),
        (message("ping", id=True), protocol.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', protocol.INVALID_PARAMS),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":7}}', protocol.INVALID_PARAMS),
        (message("resources/list"), protocol.METHOD_NOT_FOUND),
        (message("server/discover"), protocol.INVALID_PARAMS),
        (message("initialize", {}), protocol.INVALID_PARAMS),
        (message("tools/list", {"cursor": "x"}), protocol.INVALID_PARAMS),
        (message("tools/call", {"name": "nothing"}), protocol.INVALID_PARAMS),
        (message("tools/call", {}), protocol.INVALID_PARAMS),
        (message("tools/call", {"name": "usage", "arguments": []}), protocol.INVALID_PARAMS),
        (modern("ping"), protocol.METHOD_NOT_FOUND),
        (modern("initialize", {"protocolVersion": "2025-11-25", **CLIENT}), protocol.METHOD_NOT_FOUND),
        (modern("tools/list", {"_meta": {VERSION_KEY: 7}}), protocol.INVALID_PARAMS),
        (modern("tools/list", {"_meta": {CAPABILITIES_KEY: None}}), protocol.INVALID_PARAMS),
        (modern("tools/list", {"_meta": {VERSION_KEY: "2025-11-25"}}), protocol.UNSUPPORTED_VERSION),
        (modern("tools/list", {"_meta": {VERSION_KEY: "1900-01-01"}}), protocol.UNSUPPORTED_VERSION),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_told(given: bytes, code: int) -> None:
    """With JSON-RPC's code, one line, and the id where it could be read."""
    answer = said(given)
    assert answer["error"]["code"] == code == reply(given).code
    assert answer["error"]["message"] and "\n" not in answer["error"]["message"]
    assert "result" not in answer and answer["jsonrpc"] == "2.0" and "id" in answer


def test_an_unsupported_revision_learns_which_are() -> None:
    """So that the client can choose."""
    error = said(modern("tools/list", {"_meta": {VERSION_KEY: "1900-01-01"}}))["error"]
    assert error["data"] == {"supported": ["2026-07-28", "2025-11-25", "2025-06-18"], "requested": "1900-01-01"}


def test_ids_come_back_as_they_were() -> None:
    """Texts and numbers."""
    for id_ in (0, -7, "a", "", 2**53):
        assert said(message("ping", id=id_)) == {"jsonrpc": "2.0", "id": id_, "result": {}}


def test_responses_of_a_client_are_nothing_to_us() -> None:
    """We ask clients for nothing."""
    assert protocol.read(b'{"jsonrpc":"2.0","id":1,"result":{}}') is None
    assert protocol.read(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}') is None


def test_who_listens_is_acknowledged_and_promised_nothing() -> None:
    """By the id of its own request."""
    request = protocol.read(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="l1"))
    assert request is not None
    first, last = json.loads(protocol.acknowledged(request)), json.loads(protocol.listened(request))
    assert first["method"] == "notifications/subscriptions/acknowledged" and first["params"]["notifications"] == {}
    assert first["params"]["_meta"] == {protocol.SUBSCRIPTION_KEY: "l1"}
    assert last["id"] == "l1" and last["result"]["_meta"][protocol.SUBSCRIPTION_KEY] == "l1"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8,
)  # fmt: skip
_methods = st.sampled_from(["initialize", "ping", "tools/list", "tools/call", "server/discover", "x"]) | st.text()
_params = st.fixed_dictionaries(
    {}, optional={
        "_meta": _json | st.just(MODERN_META), "protocolVersion": _json, "arguments": _json,
        "name": _json | st.sampled_from(["get_context", "usage", "ask", "log_event"]),
    },
)  # fmt: skip


@given(st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "id": st.integers(), "method": _methods, "params": _params}))
def test_whatever_is_asked_is_answered_once(asked: dict[str, Any]) -> None:
    """With a result or an error, never a failure of ours."""
    answer = said(json.dumps(asked).encode(), HeldDesk())
    assert answer["id"] == asked["id"] and ("result" in answer) != ("error" in answer)
    assert "made a mistake" not in json.dumps(answer)


@given(_json)
def test_whatever_is_sent_is_understood_or_refused(sent: Any) -> None:
    """Never raised at the transport."""
    try:
        protocol.read(json.dumps(sent).encode())
    except protocol.Refused as refusal:
        assert refusal.code in (protocol.INVALID_REQUEST, protocol.INVALID_PARAMS)
