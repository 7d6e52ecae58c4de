"""docs/mcp.md names every tool, argument and feature there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from cdesk.surface.mcp.protocol import LEGACY, MODERN
from cdesk.surface.mcp.tools import described

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mcp.md").read_text()


def _rows(heading: str) -> dict[str, str]:
    """The cells behind each name in the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.*?`) \| (.*) \|$", section, flags=re.M)
    return {name: rest for names, rest in rows for name in re.findall(r"`(\w+)`", names)}


def test_every_tool_is_documented_with_its_arguments() -> None:
    rows = _rows("Tools")
    assert list(rows) == [tool["name"] for tool in described()]
    for tool in described():
        names = set(re.findall(r"`(\w+)`", rows[tool["name"]].split("|")[0]))
        assert names == set(tool["inputSchema"].get("properties", {})) - {"max_tokens", "cursor"}, tool["name"]
        given = set(re.findall(r"`(\w+)`", rows[tool["name"]].split("|")[1]))
        assert given <= set(tool["outputSchema"]["properties"])


def test_revisions_are_those_we_speak() -> None:
    assert set(re.findall(r"20\d\d-\d\d-\d\d", PAGE)) == {*MODERN, *LEGACY}
