"""What a tool gave back, as Claude Code tells it: the same shapes in transcripts and in hooks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cdesk.activity.model import Features
from cdesk.capture.lenient import as_count, as_text

TOOL_CATEGORIES = {
    **dict.fromkeys(("Read", "Write", "Edit", "MultiEdit", "NotebookEdit", "NotebookRead"), "file"),
    **dict.fromkeys(("Grep", "Glob", "LS", "WebSearch", "ToolSearch"), "search"),
    **dict.fromkeys(("Bash", "BashOutput", "KillShell", "KillBash", "Monitor"), "execute"),
    **dict.fromkeys(("WebFetch",), "analyze"),
    **dict.fromkeys(("Agent", "Task", "Workflow", "SendMessage", "TaskStop"), "agent"),
    **dict.fromkeys(("TodoWrite", "TaskCreate", "TaskUpdate", "TaskList", "ExitPlanMode", "EnterPlanMode"), "plan"),
}


@dataclass(frozen=True, slots=True)
class FileChange:
    """activity: file_read, file_created, file_written or file_edited"""

    activity: str
    path: str
    features: Features


def tool_category(tool: str) -> str | None:
    return "mcp" if tool.startswith("mcp__") else TOOL_CATEGORIES.get(tool)


def file_changes(result: dict[str, Any]) -> list[FileChange]:
    """What a successful tool result says of files; empty when it says nothing."""
    file = result.get("file")
    if isinstance(file, dict) and (path := as_text(file.get("filePath"))):
        features: Features = {
            "lines_affected": as_count(file.get("numLines")),
            "bytes_after": as_count(file.get("originalSize")),
        }
        return [_change("file_read", "read", path, features)]
    path = as_text(result.get("filePath")) or as_text(result.get("notebook_path"))
    if path is None or "isAgent" in result or "plan" in result:
        return []
    added, removed = _patch_size(result.get("structuredPatch"))
    before, content = result.get("originalFile"), result.get("content")
    changes: Features = {
        "lines_added": added, "lines_removed": removed, "bytes_before": _bytes(before),
        "user_modified": result.get("userModified") if isinstance(result.get("userModified"), bool) else None,
    }  # fmt: skip
    if result.get("type") == "create":
        lines = _line_count(content)
        return [_change("file_created", "create", path, {
            **changes, "lines_added": lines, "lines_affected": lines, "bytes_before": 0, "bytes_after": _bytes(content),
        })]  # fmt: skip
    changes["lines_affected"] = _sum(added, removed)
    if result.get("type") == "update":
        return [_change("file_written", "write", path, {**changes, "bytes_after": _bytes(content)})]
    return [_change("file_edited", "edit", path, {**changes, **_edited_sizes(result)})]


def _edited_sizes(result: dict[str, Any]) -> Features:
    before, old = result.get("originalFile"), result.get("oldString")
    if isinstance(before, str) and isinstance(old, str) and old:
        times = -1 if result.get("replaceAll") is True else 1
        return {"bytes_after": _bytes(before.replace(old, str(result.get("newString") or ""), times))}
    if isinstance(result.get("updated_file"), str):
        return {"bytes_before": _bytes(result.get("original_file")), "bytes_after": _bytes(result["updated_file"])}
    return {}


def _change(activity: str, operation: str, path: str, features: Features) -> FileChange:
    suffix = Path(path).suffix.lower().lstrip(".")
    return FileChange(activity, path, {
        "operation": operation, "file_path": path, "file_type": suffix or None, "success": True, **features,
    })  # fmt: skip


def mcp_names(tool: str) -> tuple[str | None, str | None]:
    if not tool.startswith("mcp__"):
        return None, None
    server, _, name = tool[5:].partition("__")
    return server, name or server


def measure(content: Any) -> tuple[int, str]:
    """Size in bytes and kind of what a tool gave back."""
    if content is None or content == "" or content == []:
        return 0, "none"
    if isinstance(content, str):
        return _bytes(content) or 0, "text"
    kinds = (
        {as_text(block.get("type")) for block in content if isinstance(block, dict)}
        if isinstance(content, list)
        else set()
    )
    if kinds == {"text"}:
        return sum(_bytes(block.get("text")) or 0 for block in content if isinstance(block, dict)), "text"
    return len(msgspec.json.encode(content)), "image" if "image" in kinds else "structured"


def plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(t for b in content if isinstance(b, dict) and (t := as_text(b.get("text"))))
    return ""


def _bytes(value: Any) -> int | None:
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else None


def _line_count(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    return value.count("\n") + (0 if not value or value.endswith("\n") else 1)


def _patch_size(patch: Any) -> tuple[int | None, int | None]:
    """Lines added and removed by a structured patch."""
    if not isinstance(patch, list):
        return None, None
    lines = [line for hunk in patch if isinstance(hunk, dict) and isinstance(hunk.get("lines"), list)
             for line in hunk["lines"] if isinstance(line, str)]  # fmt: skip
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def _sum(*values: int | None) -> int | None:
    present = [value for value in values if value is not None]
    return sum(present) if present else None
