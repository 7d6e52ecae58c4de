"""Tools, resources and prompts whose answers never change: every kind of content that MCP knows."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from base64 import b64encode
from typing import Any

from cdesk.surface.http.conformance.asked import Asked, Result, Tool, text
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import Refused

WAIT_S = 0.05
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png() -> str:
    """One red pixel."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")), _chunk(b"IEND", b""))
    return b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _wav() -> str:
    """One silent sample."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, 8_000, 1, 8)
    data = struct.pack("<4sI2s", b"data", 2, b"\x80\x80")
    return b64encode(struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data).decode()


IMAGE = {"type": "image", "data": _png(), "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": _wav(), "mimeType": "audio/wav"}


def _embedded(uri: str, mime: str, content: str) -> Result:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": content}}


# -- tools -------------------------------------------------------------------------------------------------------

_SAID: dict[str, Result] = {
    "test_simple_text": text("This is a simple text response for testing."),
    "test_image_content": {"content": [IMAGE]},
    "test_audio_content": {"content": [AUDIO]},
    "test_embedded_resource": {
        "content": [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
    },
    "test_multiple_content_types": {
        "content": [
            {"type": "text", "text": "Multiple content types test:"}, IMAGE,
            _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ]
    },
    "test_error_handling": {**text("This tool intentionally returns an error for testing"), "isError": True},
    "test_reconnection": text("The stream was cut, and this came after it."),
    "test_logging_tool": text("Nothing was logged, as no level was asked for."),
}  # fmt: skip

_SCHEMA_2020_12: Result = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef", "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"}, "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}  # fmt: skip


async def _progressed(asked: Asked) -> Result:
    token = asked.request.meta.get("progressToken")
    for progress in (0, 50, 100):
        if token is not None:
            await asked.notify("notifications/progress", {"progressToken": token, "progress": progress, "total": 100})
        await asyncio.sleep(WAIT_S)
    return text("Done.")


async def _logged(asked: Asked) -> Result:
    """The later era wants no logs unless the request names a level."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        if not asked.is_modern or LOG_LEVEL_KEY in asked.request.meta:
            await asked.notify("notifications/message", {"level": "info", "data": said})
        await asyncio.sleep(WAIT_S)
    return text("Done.")


async def _headed(asked: Asked) -> Result:
    return text(f"region: {asked.arguments.get('region')}")


async def _needing_sampling(asked: Asked) -> Result:
    asked.require({"sampling": {}})
    return text("The client can sample.")


async def _named(asked: Asked) -> Result:
    return text(f"Hello, {asked.arguments.get('name')}!")


async def _fixed(asked: Asked) -> Result:
    return _SAID[str(asked.request.tool)]


TOOLS = (
    *(Tool(name, "Always says the same.", _fixed) for name in _SAID),
    Tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", _headed, schema=_SCHEMA_2020_12),
    Tool("test_tool_with_progress", "Tells how far it is.", _progressed, is_streamed=True),
    Tool("test_tool_with_logging", "Logs while it runs.", _logged, is_streamed=True),
    Tool("test_missing_capability", "Needs a client that can sample.", _needing_sampling),
    Tool(
        "test_custom_headers", "Takes what a header repeats.", _headed,
        {"region": {"type": "string", "x-mcp-header": "Region"}}, ("region",),
    ),
    Tool("greet", "Greets, at once.", _named, {"name": {"type": "string"}}, ("name",)),
)  # fmt: skip

# -- resources ---------------------------------------------------------------------------------------------------

RESOURCES = [
    {"uri": "test://static-text", "name": "text", "description": "A text.", "mimeType": "text/plain"},
    {"uri": "test://static-binary", "name": "binary", "description": "A picture.", "mimeType": "image/png"},
    {"uri": "test://watched-resource", "name": "watched", "description": "To subscribe to.", "mimeType": "text/plain"},
]
_TEMPLATE_BEGIN, _TEMPLATE_END = "test://template/", "/data"
TEMPLATES = [
    {
        "uriTemplate": _TEMPLATE_BEGIN + "{id}" + _TEMPLATE_END, "name": "template", "description": "Data by id.",
        "mimeType": "application/json",
    }
]  # fmt: skip
_READ: dict[str, Result] = {
    "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
    "test://static-binary": {"mimeType": "image/png", "blob": IMAGE["data"]},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched."},
}


def resource(uri: Any) -> Result:
    """Raises Refused for one that is not there."""
    if isinstance(uri, str) and uri in _READ:
        return {"uri": uri, **_READ[uri]}
    if isinstance(uri, str) and uri.startswith(_TEMPLATE_BEGIN) and uri.endswith(_TEMPLATE_END):
        named = uri.removeprefix(_TEMPLATE_BEGIN).removesuffix(_TEMPLATE_END)
        data = {"id": named, "templateTest": True, "data": f"Data for ID: {named}"}
        return {"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}
    raise Refused(protocol.INVALID_PARAMS, "Resource not found", {"uri": uri})


# -- prompts -----------------------------------------------------------------------------------------------------


def _argument(name: str) -> Result:
    return {"name": name, "description": f"The {name}.", "required": True}


PROMPTS = [
    {"name": "test_simple_prompt", "description": "Without arguments."},
    {
        "name": "test_prompt_with_arguments", "description": "With two arguments.",
        "arguments": [_argument("arg1"), _argument("arg2")],
    },
    {
        "name": "test_prompt_with_embedded_resource", "description": "With a resource.",
        "arguments": [_argument("resourceUri")],
    },
    {"name": "test_prompt_with_image", "description": "With a picture."},
    {"name": "test_input_required_result_prompt", "description": "Asks before it answers."},
]  # fmt: skip


def _messages(*contents: Result) -> Result:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def prompt(name: Any, arguments: Any) -> Result:
    """Raises Refused for one that is not there, or lacks what it takes."""
    try:
        if name == "test_simple_prompt":
            return _messages({"type": "text", "text": "This is a simple prompt for testing."})
        if name == "test_prompt_with_arguments":
            said = f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'"
            return _messages({"type": "text", "text": said})
        if name == "test_prompt_with_embedded_resource":
            return _messages(
                _embedded(arguments["resourceUri"], "text/plain", "Embedded resource content for testing."),
                {"type": "text", "text": "Please process the embedded resource above."},
            )
        if name == "test_prompt_with_image":
            return _messages(IMAGE, {"type": "text", "text": "Please analyze the image above."})
    except (KeyError, TypeError):
        raise Refused(protocol.INVALID_PARAMS, f"{name} lacks an argument") from None
    raise Refused(protocol.INVALID_PARAMS, f"Unknown prompt: {name}")
