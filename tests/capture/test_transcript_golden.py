"""Counts of every activity on every transcript tree we have, equal to a count of the raw lines.

The counting below knows nothing of our parser: it reads lines with the standard library's `json` and collects sets of
ids, as one would with jq. Its rules are those of `interfaces.md` §2.3 and of the catalog.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.capture.house import House
from tests.shared_data import SHARED, shared_data

TREES = [
    *(f"transcripts/{path.name}" for path in sorted((SHARED / "transcripts").glob("*")) if path.is_dir()),
    *(f"recordings/{path.parent.name}" for path in sorted((SHARED / "recordings").glob("*/projects"))),
    "transcripts",
    "recordings",
]
STATE = {
    "summary", "last-prompt", "custom-title", "agent-name", "ai-title", "mode", "permission-mode", "tools-used",
    "file-history-snapshot", "worktree-state", "relocated", "atis-latch", "queue-operation", "api-request",
    "api-request-shape", "api-request-blob", "progress", "cost-state",
}  # fmt: skip
QUIET_SYSTEM = {
    None, "stop_hook_summary", "local_command", "away_summary", "informational", "microcompact_boundary", "init",
    "compact_boundary", "turn_duration", "api_error",
}  # fmt: skip
MACHINE_MADE = (
    "<task-notification>",
    "[Request interrupted by user",
    "<local-command-std",
    "<bash-std",
    "<user-memory-input",
)


class Count:
    """Sets of ids by activity, and the lines that say nothing usable."""

    def __init__(self) -> None:
        self.seen: dict[str, set[Any]] = defaultdict(set)
        self.main: set[tuple[str, str]] = set()
        self.side: set[str] = set()
        self.names: dict[str, str] = {}
        self.results: list[tuple[str, str]] = []
        self.rejected = 0

    def totals(self) -> dict[str, int]:
        known = {message for message, _ in self.main}
        self.seen["claude_responded"] |= self.main | {(message,) for message in self.side - known}
        return {activity: len(ids) for activity, ids in self.seen.items() if ids}

    def file(self, path: Path) -> None:
        calls: dict[str, str] = {}
        agent = last_session = None
        is_dated = False
        for raw in path.read_bytes().split(b"\n"):
            if not raw.strip():
                continue
            line = _json(raw)
            if not isinstance(line, dict):
                self.rejected += 1
                continue
            kind, message = line.get("type"), line.get("message")
            key = line.get("uuid") or sha256(raw).hexdigest()
            last_session = line.get("sessionId") or last_session
            if not _is_time(line.get("timestamp")):
                if kind == "api-request-blob":
                    continue
                if kind in ("user", "assistant", "system", "attachment") or message is not None:
                    self.rejected += 1
                elif kind in ("custom-title", "summary", "ai-title") and is_dated:
                    title = line.get("customTitle") or line.get("summary")
                    if title and last_session:
                        self.seen["session_titled"].add((last_session, title))
                elif (
                    kind == "cost-state"
                    and last_session
                    and _is_number(line.get("startTime"), line.get("totalDuration"))
                ):
                    self.seen["session_totalled"].add(last_session)
                elif kind not in STATE:
                    self.seen["line_kept"].add(key)
                continue
            is_dated = True
            if kind in ("user", "assistant") and not isinstance(message, dict):
                self.rejected += 1
                continue
            if kind in ("user", "assistant", "system", "attachment", None):
                if line.get("agentId") and line["agentId"] != agent:
                    agent = line["agentId"]
                    self.agent("subagent_started", line, agent)
                if last_session and not line.get("isSidechain") and not line.get("requestSessionId"):
                    self.seen["session_started"].add(last_session)
            if isinstance(message, dict) and (kind == "assistant" or isinstance(message.get("usage"), dict)):
                self.response(line, message, key, line.get("requestId"), line.get("isSidechain"), calls)
            elif kind == "user" and isinstance(message, dict):
                self.user(line, message, key, calls)
            elif kind == "system":
                self.system(line, key)
            elif kind == "attachment":
                self.attachment(line.get("attachment") or {}, key)
            elif kind == "progress":
                inner = ((line.get("data") or {}).get("message")) or {}
                told = inner.get("message") if isinstance(inner, dict) else None
                if isinstance(told, dict) and isinstance(told.get("usage"), dict) and _is_time(inner.get("timestamp")):
                    inner_key = inner.get("uuid") or sha256(raw).hexdigest()
                    self.response(line, told, inner_key, inner.get("requestId"), inner.get("isSidechain"), calls)
            elif kind not in STATE:
                self.seen["line_kept"].add(key)

    def response(
        self, line: dict[str, Any], message: dict[str, Any], key: str, request: Any, side: Any, calls: dict[str, str]
    ) -> None:
        if line.get("isApiErrorMessage"):
            self.seen["api_request_failed"].add(request or key)
        usage = message.get("usage") or {}
        spent = sum(
            usage.get(name) or 0
            for name in ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        if message.get("model") == "<synthetic>" and not spent:
            return
        if not message.get("id"):
            self.seen["claude_responded"].add(key)
        elif side is True:
            self.side.add(message["id"])
        else:
            self.main.add((message["id"], request or ""))
        for block in _blocks(message):
            if block.get("type") in ("tool_use", "server_tool_use") and block.get("id") and block.get("name"):
                calls[block["id"]] = block["name"]
                self.call(block["id"], block["name"])

    def call(self, call: str, name: str | None) -> None:
        self.seen["tool_called"].add(call)
        if name is not None and name.startswith("mcp__"):
            self.seen["mcp_called"].add(call)

    def user(self, line: dict[str, Any], message: dict[str, Any], key: str, calls: dict[str, str]) -> None:
        results = [block for block in _blocks(message) if block.get("type") == "tool_result"]
        for block in results:
            if call := block.get("tool_use_id"):
                self.call(call, calls.get(call))
                told = line.get("toolUseResult")
                if len(results) == 1 and block.get("is_error") is not True and isinstance(told, dict):
                    self.outcome(line, call, told)
        if results:
            return
        content = message.get("content")
        texts = [block.get("text") or "" for block in _blocks(message) if block.get("type") == "text"]
        text = content if isinstance(content, str) else "\n".join(filter(None, texts))
        if text or any(block.get("type") == "image" for block in _blocks(message)):
            self.prompt(line, text, key)

    def prompt(self, line: dict[str, Any], text: str, key: str) -> None:
        is_machine_made = (
            any(line.get(mark) for mark in ("isMeta", "isCompactSummary", "isSidechain"))
            or line.get("promptSource") == "system"
            or text.lstrip().startswith(MACHINE_MADE)
        )
        self.seen["message_injected" if is_machine_made else "user_asked"].add(key)

    def outcome(self, line: dict[str, Any], call: str, told: dict[str, Any]) -> None:
        read = (told.get("file") or {}).get("filePath") if isinstance(told.get("file"), dict) else None
        path = told.get("filePath") or told.get("notebook_path")
        if read:
            self.seen["file_read"].add((call, read))
        elif path and "isAgent" not in told and "plan" not in told:
            activity = {"create": "file_created", "update": "file_written"}.get(told.get("type") or "", "file_edited")
            self.seen[activity].add((call, path))
        agent = told.get("agentId")
        if agent:
            self.agent("subagent_started", line, agent)
        if "totalToolUseCount" in told or "totalTokens" in told:
            self.agent("subagent_completed", line, agent or call)

    def agent(self, activity: str, line: dict[str, Any], agent: str) -> None:
        self.seen[activity].add((agent, line.get("sessionId") if len(agent) <= 8 else None))

    def system(self, line: dict[str, Any], key: str) -> None:
        facts = {"compact_boundary": "context_compacted", "turn_duration": "turn_completed"}
        subtype = line.get("subtype")
        if subtype == "api_error":
            error = line.get("error")
            self.seen["api_request_failed"].add((isinstance(error, dict) and error.get("requestId")) or key)
        elif subtype in facts:
            self.seen[facts[subtype]].add(key)
        elif subtype not in QUIET_SYSTEM:
            self.seen["line_kept"].add(key)

    def attachment(self, told: dict[str, Any], key: str) -> None:
        kind = told.get("type") or ""
        if kind.startswith("hook_") and "hookEvent" in told and kind != "hook_additional_context":
            self.seen["hook_ran"].add(key)
        elif kind == "queued_command" and told.get("prompt"):
            human = told.get("commandMode") in (None, "prompt")
            source = {} if human else {"promptSource": "system"}
            self.prompt(source, told["prompt"], key)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) >= 19 and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_number(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _blocks(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    return (block for block in content if isinstance(block, dict)) if isinstance(content, list) else iter(())


@pytest.mark.parametrize("tree", TREES)
def test_every_activity_is_counted_once(tree: str, tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """What the warehouse holds is what the raw lines hold; what is set aside is what cannot be read."""
    root = shared_data(tree)
    projects = root / "projects" if (root / "projects").is_dir() else root
    expected = Count()
    for path in sorted(projects.rglob("*.jsonl"), key=str):
        expected.file(path)
    house = House(tmp_path, deployed)
    progress = house.take(root)
    found = house.counts()
    house.close()
    assert found == expected.totals()
    assert progress.rejected == expected.rejected
    assert progress.files == len(list(projects.rglob("*.jsonl")))
