"""The house of docs/architecture.md: imports go down, rooms on one floor do not know each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "cdesk"

GROUND = ("errors", "clock", "config", "observe")
DECISIONS = ("activity", "governance", "sql")
PLACES = ("queue", "warehouse", "context", "artifact", "cost")
MOVERS = ("capture", "upload", "refresh", "insight", "query", "dataset", "migrate", "upkeep")

FLOOR = {
    "errors": 0, "clock": 0, "observe": 0, "sample": 5,
    "activity": 1, "sql": 1, "governance": 2, "config": 3,
    **dict.fromkeys(PLACES, 4), **dict.fromkeys(MOVERS, 5), "app": 6, "surface": 7, "cli": 8, "__main__": 9,
}  # fmt: skip


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.module:
            names = [f"{node.module}.{alias.name}" if node.module == "cdesk" else node.module for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "cdesk" and len(parts) > 1 and parts[1] in FLOOR:
                yield node.lineno, parts[1]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    """A room imports rooms below it, and never another room of its own floor."""
    room = _room(path)
    if room == "__init__":
        return
    assert room in FLOOR, f"{room} has no floor yet: say where it stands"
    for line, imported in _imported_rooms(path):
        if imported == room:
            continue
        assert FLOOR[imported] < FLOOR[room], f"{path.relative_to(SOURCE)}:{line} imports {imported}, not below {room}"


def test_only_app_knows_every_room() -> None:
    """Assembly happens in one file; surfaces and commands get what it opened."""
    for path in _modules():
        if _room(path) in (*DECISIONS, *PLACES, *MOVERS):
            assert all(imported not in ("app", "surface", "cli") for _, imported in _imported_rooms(path)), path


def test_no_room_is_a_junk_drawer() -> None:
    """A name must say what is inside."""
    banned = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
    assert not [path for path in _modules() if path.stem in banned or path.parent.name in banned]


def test_modules_open_with_a_sentence() -> None:
    """Every module that is not empty says first what it is."""
    for path in _modules():
        tree = ast.parse(path.read_text("utf-8"))
        assert not tree.body or ast.get_docstring(tree), path
