"""The official client, over both transports and in both eras; it checks answers against their schemas itself."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk

from cdesk.surface.mcp.tools import TOOLS

SDK = pytest.importorskip("mcp", reason="needs the official MCP SDK (`mcp`, 2.x) for its client")
pytestmark = pytest.mark.skipif(not hasattr(SDK, "Client"), reason="needs the official MCP SDK of version 2 or later")
ERAS = {"auto": "2026-07-28", "legacy": "2025-11-25"}


def stdio(cdesk: Cdesk) -> Any:
    """How a client starts the server."""
    return SDK.StdioServerParameters(
        command=sys.executable, args=["-m", "cdesk", "mcp"],
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(cdesk.home.parent), "CDESK_HOME": str(cdesk.home),
        },
    )  # fmt: skip


async def talk(server: Any, mode: str) -> dict[str, Any]:
    """One of everything."""
    async with SDK.Client(server, mode=mode) as client:
        tools = (await client.list_tools()).tools
        questions = await client.call_tool("list_questions", {})
        answer = await client.call_tool("ask", {"question": "tool_usage", "project": "*", "days": 366})
        wrong = await client.call_tool("ask", {"question": "nothing"})
        event = await client.call_tool("log_event", {"activity": "app_deployed"})
        return {
            "version": client.protocol_version, "tools": [tool.name for tool in tools],
            "instructions": client.instructions, "questions": questions.structured_content,
            "answer": answer.structured_content, "is_wrong": wrong.is_error, "event": event.structured_content,
        }  # fmt: skip


def checked(told: dict[str, Any], era: str) -> None:
    assert told["version"] == ERAS[era] and told["tools"] == list(TOOLS) and "get_context" in told["instructions"]
    assert len(told["questions"]["questions"]) >= 5 and told["is_wrong"] is True
    assert told["answer"]["columns"][0] == "tool" and told["event"]["is_durable"] is True


@pytest.mark.parametrize("era", ERAS)
def test_over_stdio(cdesk: Cdesk, era: str) -> None:
    cdesk.up()
    checked(asyncio.run(talk(stdio(cdesk), era)), era)


@pytest.mark.parametrize("era", ERAS)
def test_over_http(cdesk: Cdesk, era: str) -> None:
    port = cdesk.up()["port"]
    token = (cdesk.home / "token").read_text().strip()

    async def told() -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        transport = import_module("mcp.client.streamable_http").streamable_http_client
        async with import_module("httpx2").AsyncClient(headers=headers) as http:
            return await talk(transport(f"http://127.0.0.1:{port}/mcp", http_client=http), era)

    checked(asyncio.run(told()), era)
