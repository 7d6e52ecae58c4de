"""Changes a JSON text in place: what is added or removed is all that changes, the rest stays as the person wrote it.

Indentation, line ends, spacing, key order, number formats and escapes outside the change are kept byte for byte.
Where a key stands twice the last one counts, as it does for Claude Code.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\n([ \t]+)\S")
_decoder = json.JSONDecoder()


class NotJson(ValueError):
    """`str()` says where and what."""


class NoPlace(ValueError):
    """Something else stands where an object or array is needed; `str()` names it."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object, or item of an array: [start, end) with its key, the value from `value`."""

    key: str | int
    start: int
    value: int
    end: int


class SettingsText:
    """A JSON object as text. Raises NotJson."""

    def __init__(self, text: str) -> None:
        self.text = text if text.strip("\ufeff \t\r\n") else "{}\n"
        try:
            found = json.loads(self.text.lstrip("\ufeff"))
        except ValueError as error:
            raise NotJson(str(error)) from None
        except RecursionError:
            raise NotJson("it is nested too deeply") from None
        if not isinstance(found, dict):
            raise NotJson("it is not a JSON object")

    def value(self) -> dict[str, Any]:
        return dict(json.loads(self.text.lstrip("\ufeff")))

    def get(self, path: Path) -> Any:
        """None when nothing stands there."""
        at: Any = self.value()
        for step in path:
            try:
                at = at[step]
            except (KeyError, IndexError, TypeError):
                return None
        return at

    def raw(self, path: Path) -> str:
        """How the value that stands there is written."""
        start = self._find(path)
        return self.text[start : _decoder.raw_decode(self.text, start)[1]]

    def put(self, path: Path, value: Any, raw: str | None = None) -> list[Path]:
        """Adds or replaces a member; objects on the way are made. Gives back the paths that were not there before.
        raw: how a value that replaces another is to be written."""
        for depth in range(1, len(path)):
            if self.get(path[:depth]) is None:
                nested = value
                for step in reversed(path[depth:]):
                    nested = {step: nested}
                self._set(path[:depth], nested)
                return [path[:deeper] for deeper in range(depth, len(path) + 1)]
        is_new = self.get(path) is None
        self._set(path, value, raw)
        return [path] if is_new else []

    def append(self, path: Path, value: Any) -> list[Path]:
        """Adds an item at the end of an array, which is made when it is not there."""
        if self.get(path) is None:
            return self.put(path, [value])
        start = self._find(path)
        if self.text[start] != "[":
            raise NoPlace(f"{_name(path)} is not an array")
        self._insert(start, self._dumped(value, start))
        return []

    def remove(self, path: Path) -> None:
        start = self._find(path[:-1])
        members = self._members(start)
        index = max(i for i, member in enumerate(members) if member.key == path[-1])
        if len(members) == 1:
            self._splice(start + 1, self._after(members[0].end), "")
        elif index == len(members) - 1:
            self._splice(members[index - 1].end, members[index].end, "")
        else:
            self._splice(members[index].start, members[index + 1].start, "")

    # -- places in the text ------------------------------------------------------------------------------------

    def _find(self, path: Path) -> int:
        at = self._after(1 if self.text.startswith("\ufeff") else 0)
        for depth, step in enumerate(path):
            if self.text[at] not in "{[":
                raise NoPlace(f"{_name(path[:depth])} is not an object")
            at = [member.value for member in self._members(at) if member.key == step][-1]
        return at

    def _members(self, start: int) -> list[_Member]:
        is_object = self.text[start] == "{"
        members: list[_Member] = []
        at = self._after(start + 1)
        while self.text[at] not in "}]":
            begin: int = at
            key: str | int = len(members)
            if is_object:
                key, at = scanstring(self.text, at + 1)
                at = self._after(self._after(at) + 1)
            value = at
            _, end = _decoder.raw_decode(self.text, at)
            members.append(_Member(key, begin, value, end))
            at = self._after(end)
            if self.text[at] == ",":
                at = self._after(at + 1)
        return members

    def _after(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    # -- changes -----------------------------------------------------------------------------------------------

    def _set(self, path: Path, value: Any, raw: str | None = None) -> None:
        start = self._find(path[:-1])
        if self.text[start] != "{":
            raise NoPlace(f"{_name(path[:-1])} is not an object")
        dumped = self._dumped(value, start) if raw is None else raw
        standing = [member for member in self._members(start) if member.key == path[-1]]
        if standing:
            self._splice(standing[-1].value, standing[-1].end, dumped)
        else:
            colon = ":" if self._is_tight() else ": "
            self._insert(start, f"{json.dumps(path[-1], ensure_ascii=False)}{colon}{dumped}")

    def _insert(self, start: int, item: str) -> None:
        """As the last member of the container that begins at `start`."""
        members = self._members(start)
        if not self._is_multiline(start, members):
            gap = "," if self._is_tight() else ", "
            at = members[-1].end if members else start + 1
            self._splice(at, at if members else self._after(at), (gap if members else "") + item)
        elif members:
            self._splice(members[-1].end, members[-1].end, f",{self._newline()}{self._margin(members[-1].start)}{item}")
        else:
            margin = self._margin(start)
            end = self._after(start + 1)
            newline = self._newline()
            self._splice(start + 1, end, f"{newline}{margin}{self._indent()}{item}{newline}{margin}")

    def _dumped(self, value: Any, start: int) -> str:
        """`value` as it looks as a member of the container that begins at `start`."""
        members = self._members(start)
        if not self._is_multiline(start, members):
            return json.dumps(value, ensure_ascii=False, separators=(",", ":") if self._is_tight() else None)
        margin = self._margin(members[-1].start) if members else self._margin(start) + self._indent()
        lines = json.dumps(value, ensure_ascii=False, indent=self._indent()).split("\n")
        return (self._newline() + margin).join(lines)

    def _splice(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]

    # -- the person's own style --------------------------------------------------------------------------------

    def _is_multiline(self, start: int, members: list[_Member]) -> bool:
        if members:
            return "\n" in self.text[start : members[0].start]
        return "\n" in self.text.strip() or self.text.strip("\ufeff \t\r\n") == "{}"

    def _is_tight(self) -> bool:
        """Whether the text is written without any space, as machines write it."""
        return '":' in self.text and not re.search(r'":\s', self.text)

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def _indent(self) -> str:
        found = _INDENT.search(self.text)
        return found[1] if found else "  "

    def _margin(self, at: int) -> str:
        """The white space that the line of this position begins with."""
        line = self.text[self.text.rfind("\n", 0, at) + 1 : at]
        return line[: len(line) - len(line.lstrip(" \t"))]


def _name(path: Path) -> str:
    return ".".join(map(str, path)) or "the whole file"
