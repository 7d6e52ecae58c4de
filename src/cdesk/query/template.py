"""A template is a .sql file: a header that says what is asked, what it takes and gives, and who may ask; then one SELECT.

    -- question: tool_usage                        the file's name
    -- title: Which tools are used                 one line for people
    -- description: Calls and failures of …        what it counts, for who chooses a question
    -- version: 1                                  grows when the answer means something else
    -- parameter: days integer 1 to 366 = 7: so many days back        as often as needed
    -- parameter: project folder optional: only there
    -- parameter: by one of day, model = day: a row for each
    -- parameter: tools list of text to 200 optional: only these      a list has LIST_MAX members at most
    -- column: tool text: its name                 in order, all that come back
    -- column: waited_s number in s: in all        with a unit where it has one
    -- roles: owner, admin, engineer, agent        who may ask once it is active
    -- access: figures                             or content: words that people and tools said
    -- cap: 1 GB                                   bytes it may have to read
    -- cache: 24 h                                 so long a recorded answer is given again
    -- chart: bars tool waited_s                   optional: bars, line or table; x, y, and `by series`
    -- reads: stream, rollups                      also insights: what has to change for a new answer

Types of parameters: integer, number, text, folder (a path, its last slash left out), choice (`one of`), boolean, day
(2026-11-23), list of text. `optional` means NULL where nothing is given. In the SELECT a parameter is `:name`; the other names are `:since` (the beginning of the
hour, so many `days` or `hours` ago, UTC) and `:now` (the beginning of this hour). A list is bound as JSON text.

Behind a second semicolon there may be another SELECT: the activity ids behind a cell of the answer, the latest first.
It takes the same names, `:row_<column>` for what the row says, and `:column`, the cell's.

Limits first. The SELECT is Snowflake's SQL in the portable subset (docs/sql.md), one statement, and everything given is
bound: the text that reaches the engine is the same whatever is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from cdesk.activity.model import JSON
from cdesk.errors import ConfigError, UsageError

FOLDER = Path(__file__).parent / "templates"
TEXT_MAX = 4_096
LIST_MAX = 100
FILE_BYTES_MAX = 64 * 1024

Role: TypeAlias = Literal["owner", "admin", "analyst", "engineer", "agent", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)
CONTENT_ROLES = frozenset({"owner", "admin", "engineer", "agent"})
"""Who may read words, not only figures and names."""
Kind: TypeAlias = Literal["integer", "number", "text", "folder", "choice", "boolean", "day", "list"]
Access: TypeAlias = Literal["figures", "content"]
Source: TypeAlias = Literal["stream", "rollups", "insights"]
Looks: TypeAlias = Literal["bars", "line", "table"]

_BACK = {"days": 24, "hours": 1}
_OWN_NAMES = frozenset({"since", "now", "column"})
_NEEDED = ("question", "title", "description", "version", "roles", "access", "cap", "cache", "reads")
_OFTEN = ("parameter", "column")
_KNOWN = (*_NEEDED, *_OFTEN, "chart")
_LINE = re.compile(r"--\s*(\w+):\s*(.*?)\s*$")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}$")
_PLACE = re.compile(r"(?<![\w:\"\])]):([a-z][a-z0-9_]*)")
_PARAMETER = re.compile(
    r"(?P<name>\w+) (?:(?P<kind>integer|number|text|folder|boolean|day|list of text)|one of (?P<choices>[\w, ]+?))"
    r"(?: (?P<min>-?[\d.]+))?(?: to (?P<max>-?[\d.]+))?(?P<optional> optional)?(?: = (?P<default>[^:]*?))?: (?P<says>.+)$"
)
_COLUMN = re.compile(
    r"(?P<name>\w+) (?P<kind>integer|number|text|boolean|day|time|any)(?: in (?P<unit>[^:]+))?: (?P<says>.+)$"
)
_CHART = re.compile(r"(?P<kind>bars|line|table)(?: (?P<x>\w+) (?P<y>\w+)(?: by (?P<series>\w+))?)?$")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)$")
_BYTES = {"KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SECONDS = {"s": 1, "min": 60, "h": 3600}


class BadTemplate(ConfigError):
    """A template file is not as it should be; says which and how."""


class Parameter(msgspec.Struct, frozen=True):
    """min, max: of numbers their bounds, of text its characters · default: None where it is optional"""

    name: str
    type: Kind
    description: str
    default: JSON = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] | None = None
    is_optional: bool = False

    def value(self, given: JSON) -> JSON:
        """What is bound. Raises UsageError for what is not of the type, or out of bounds."""
        if given is None:
            if self.is_optional:
                return None
            raise self._wrong(given)
        found = _READ[self.type](given)
        if found is None or not self._fits(found):
            raise self._wrong(given)
        return found

    def read(self, text: str) -> JSON:
        """As somebody writes it on the command line: a list with commas, or as JSON. Raises UsageError."""
        if self.type == "list" and not text.lstrip().startswith("["):
            return self.value([each.strip() for each in text.split(",")])
        if self.type in ("text", "folder", "choice", "day"):
            return self.value(text)
        try:
            return self.value(msgspec.json.decode(text))
        except (ValueError, RecursionError):
            raise self._wrong(text) from None

    @property
    def says(self) -> str:
        """What it may be, in words."""
        match self.type:
            case "choice":
                return f"one of {', '.join(self.choices or ())}"
            case "integer" | "number":
                whole = "a whole number" if self.type == "integer" else "a number"
                return f"{whole} from {self.min:g} to {self.max:g}"
            case "text" | "folder":
                return f"a text of 1 to {self.max:g} characters"
            case "list":
                return f"1 to {LIST_MAX} texts of 1 to {self.max:g} characters"
            case "day":
                return "a day such as 2026-11-23"
            case _:
                return "true or false"

    def _fits(self, found: JSON) -> bool:
        match found:
            case bool():
                return True
            case int() | float():
                return (self.min is None or found >= self.min) and (self.max is None or found <= self.max)
            case str() if self.choices:
                return found in self.choices
            case str():
                return self.type == "day" or 1 <= len(found) <= (self.max or TEXT_MAX)
            case list():
                return 1 <= len(found) <= LIST_MAX and all(
                    isinstance(each, str) and 1 <= len(each) <= (self.max or TEXT_MAX) for each in found
                )
            case _:
                return False

    def _wrong(self, given: JSON) -> UsageError:
        shown = repr(given)
        return UsageError(f"{self.name} is {self.says}, not {shown[:60]}{'…' if len(shown) > 60 else ''}.")


class Column(msgspec.Struct, frozen=True):
    """type: integer, number, text, boolean, day, time (both UTC) or any"""

    name: str
    type: str
    description: str
    unit: str | None = None


class Chart(msgspec.Struct, frozen=True):
    """x, y, series: columns"""

    kind: Looks
    x: str | None = None
    y: str | None = None
    series: str | None = None


class Statement(msgspec.Struct, frozen=True):
    """text: as it was written · sql: with `:1`, `:2`, … for its names, in that order"""

    text: str
    sql: str
    names: tuple[str, ...]


class Template(msgspec.Struct, frozen=True):
    """checksum: SHA-256 of the file, hex · is_bundled: comes with cdesk · behind: finds the activities of a cell"""

    name: str
    title: str
    description: str
    version: int
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    roles: tuple[Role, ...]
    access: Access
    byte_cap: int
    cache_seconds: float
    chart: Chart | None
    reads: tuple[Source, ...]
    checksum: str
    text: str
    ask: Statement
    behind: Statement | None
    is_bundled: bool = True

    def values(self, given: Mapping[str, JSON]) -> dict[str, JSON]:
        """Every parameter with its value. Raises UsageError."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise UsageError(f"{self.name} takes no {name[:60]!r}.", f"It takes: {', '.join(known) or 'nothing'}.")
        return {name: each.value(given.get(name, each.default)) for name, each in known.items()}

    @property
    def hours_back(self) -> str | None:
        """The parameter that says since when, if there is one."""
        return next((each.name for each in self.parameters if each.name in _BACK), None)


def hours(parameter: str, amount: JSON) -> int:
    """What `days` or `hours` of so many are."""
    assert isinstance(amount, int)
    return amount * _BACK[parameter]


def load(folder: Path = FOLDER) -> list[Template]:
    """Every template of a folder, by name. Raises BadTemplate."""
    return [read(path) for path in sorted(folder.glob("*.sql"))]


def read(path: Path, *, is_bundled: bool = True) -> Template:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadTemplate(f"{path.name} has more than {FILE_BYTES_MAX:,} bytes.", "Make it shorter.")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadTemplate(f"cannot read {path}: {error}.") from None
    try:
        return parse(path.stem, text, is_bundled=is_bundled)
    except ValueError as error:
        raise BadTemplate(f"{path.name}: {error}.", "The header's form is in docs/ask.md.") from None


def parse(stem: str, text: str, *, is_bundled: bool = True) -> Template:
    """Raises ValueError saying what is wrong."""
    header, sql = _divided(text)
    said = _once(header)
    if said["question"] != stem or not _NAME.match(stem):
        raise ValueError(f"`question: {said['question']}` must be the file's name, in lower case")
    parameters = tuple(_parameter(value) for key, value in header if key == "parameter")
    columns = tuple(_column(value) for key, value in header if key == "column")
    ask, behind = _statements(sql, parameters, columns)
    template = Template(
        name=stem, title=said["title"], description=said["description"], version=_version(said["version"]),
        parameters=parameters, columns=columns, roles=_roles(said["roles"]), access=_one(said["access"], "access", Access),
        byte_cap=int(_amount(said["cap"], "cap", _BYTES)), cache_seconds=_amount(said["cache"], "cache", _SECONDS),
        chart=_chart(said.get("chart"), columns),
        reads=tuple(_one(word, "reads", Source) for word in _words(said["reads"])),
        checksum=sha256(text.encode()).hexdigest(), text=sql.strip(), ask=ask, behind=behind, is_bundled=is_bundled,
    )  # fmt: skip
    _check(template)
    return template


def _divided(text: str) -> tuple[list[tuple[str, str]], str]:
    header: list[tuple[str, str]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("--"):
            return header, "\n".join(lines[number:])
        found = _LINE.match(line)
        if found is None or found[1] not in _KNOWN:
            raise ValueError(f"line {number + 1} of the header is none of {', '.join(_KNOWN)}: {line!r}")
        header.append((found[1], found[2]))
    return header, ""


def _once(header: Sequence[tuple[str, str]]) -> dict[str, str]:
    said: dict[str, str] = {}
    for key, value in header:
        if key in said and key not in _OFTEN:
            raise ValueError(f"`{key}:` is there twice")
        said[key] = value
    if missing := [key for key in _NEEDED if not said.get(key)]:
        raise ValueError(f"the header has no `{missing[0]}:`")
    return said


def _parameter(text: str) -> Parameter:
    found = _PARAMETER.match(text)
    if found is None:
        raise ValueError(f"`parameter: {text}` is not `NAME TYPE [MIN to MAX] [optional | = DEFAULT]: MEANING`")
    kind: Kind = "choice" if found["choices"] else "list" if found["kind"] == "list of text" else found["kind"]  # type: ignore[assignment]
    parameter = Parameter(
        name=found["name"], type=kind, description=found["says"], is_optional=bool(found["optional"]),
        choices=tuple(_words(found["choices"])) if found["choices"] else None,
        min=None if found["min"] is None else float(found["min"]),
        max=float(found["max"]) if found["max"] else float(TEXT_MAX) if kind in ("text", "folder", "list") else None,
    )  # fmt: skip
    if not _NAME.match(parameter.name) or parameter.name in _OWN_NAMES or parameter.name.startswith("row_"):
        raise ValueError(f"no parameter may be called {parameter.name!r}")
    if kind in ("integer", "number") and (parameter.min is None or parameter.max is None):
        raise ValueError(f"the parameter {parameter.name} has no bounds: write `1 to 100`")
    if found["default"] is None:
        return parameter
    try:
        return msgspec.structs.replace(parameter, default=parameter.read(found["default"]))
    except UsageError as error:
        raise ValueError(f"the default is wrong: {str(error).rstrip('.')}") from None


def _column(text: str) -> Column:
    found = _COLUMN.match(text)
    if found is None:
        raise ValueError(f"`column: {text}` is not `NAME TYPE [in UNIT]: MEANING`")
    return Column(found["name"], found["kind"], found["says"], found["unit"])


def _version(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError(f"`version: {text}` is not a whole number from 1")
    return int(text)


def _roles(text: str) -> tuple[Role, ...]:
    return tuple(_one(word, "roles", Role) for word in _words(text))


def _one(word: str, key: str, kind: Any) -> Any:
    """kind: a Literal"""
    if word not in get_args(kind):
        raise ValueError(f"`{key}:` says {word!r}, which is none of {', '.join(get_args(kind))}")
    return word


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _amount(text: str, key: str, units: Mapping[str, int]) -> float:
    found = _AMOUNT.match(text)
    if found is None or found[2] not in units:
        raise ValueError(f"`{key}: {text}` is not a number with one of {', '.join(units)}")
    return float(found[1]) * units[found[2]]


def _chart(text: str | None, columns: Sequence[Column]) -> Chart | None:
    if text is None:
        return None
    found = _CHART.match(text)
    if found is None:
        raise ValueError(f"`chart: {text}` is not `bars|line|table X Y [by SERIES]`")
    named = {column.name for column in columns}
    if wrong := [name for name in (found["x"], found["y"], found["series"]) if name and name not in named]:
        raise ValueError(f"`chart:` names {wrong[0]!r}, which is no column")
    return Chart(_one(found["kind"], "chart", Looks), found["x"], found["y"], found["series"])


def _statements(
    sql: str, parameters: Sequence[Parameter], columns: Sequence[Column]
) -> tuple[Statement, Statement | None]:
    parts = [part.strip() for part in re.split(r";\s*\n|;\s*$", sql) if part.strip()]
    if not 1 <= len(parts) <= 2:
        raise ValueError(f"there are {len(parts)} statements: one SELECT asks, and a second may find what is behind")
    known = {parameter.name for parameter in parameters} | {"now"}
    if any(parameter.name in _BACK for parameter in parameters):
        known.add("since")
    ask = _numbered(parts[0], known)
    if unused := [each.name for each in parameters if each.name not in ask.names and each.name not in _BACK]:
        raise ValueError(f"the SELECT does not use the parameter {unused[0]}")
    rows = {f"row_{column.name}" for column in columns}
    return ask, _numbered(parts[1], known | rows | {"column"}) if len(parts) == 2 else None


def _numbered(sql: str, known: set[str]) -> Statement:
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise ValueError(f"the SELECT takes :{found[1]}, which is no parameter")
        if found[1] not in names:
            names.append(found[1])
        return f":{names.index(found[1]) + 1}"

    numbers = _PLACE.sub(numbered, sql)
    return Statement(sql, numbers, tuple(names))


def _check(template: Template) -> None:
    if not template.columns:
        raise ValueError("the header has no `column:`")
    for kind, names in (
        ("parameter", [each.name for each in template.parameters]),
        ("column", [each.name for each in template.columns]),
    ):
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the {kind} {twice[0]} is there twice")
    if not template.roles:
        raise ValueError("the header has no `roles:`")
    if template.access == "content" and (wrong := [role for role in template.roles if role not in CONTENT_ROLES]):
        raise ValueError(f"content is not for the role {wrong[0]}, only for {', '.join(sorted(CONTENT_ROLES))}")


@cache
def compiled(statement: Statement) -> str:
    """As DuckDB has to be told, with `$1`, `$2`, … Raises UnsupportedSQL, and ValueError where it is not one SELECT."""
    from cdesk.sql.dialect import to_duckdb

    texts = to_duckdb(statement.sql)
    if len(texts) != 1 or not re.match(r"\(?\s*(SELECT|WITH)\b", texts[0], re.IGNORECASE):
        raise ValueError("it is not one SELECT")
    return texts[0]


# -- values ----------------------------------------------------------------------------------------------------------


def _integer(given: JSON) -> JSON:
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _number(given: JSON) -> JSON:
    is_number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    return given if is_number else None


def _text(given: JSON) -> JSON:
    """Without what no column can hold: NUL, and halves of characters."""
    if not isinstance(given, str) or "\0" in given or any("\ud800" <= each <= "\udfff" for each in given):
        return None
    return given


def _folder(given: JSON) -> JSON:
    return _text(given.rstrip("/") or "/") if isinstance(given, str) and given else None


def _day(given: JSON) -> JSON:
    try:
        return date.fromisoformat(given).isoformat() if isinstance(given, str) else None
    except ValueError:
        return None


def _list(given: JSON) -> JSON:
    return given if isinstance(given, list) and all(_text(each) is not None for each in given) else None


_READ: dict[str, Callable[[JSON], JSON]] = {
    "integer": _integer, "number": _number, "text": _text, "folder": _folder, "choice": _text,
    "boolean": lambda given: given if isinstance(given, bool) else None, "day": _day, "list": _list,
}  # fmt: skip
