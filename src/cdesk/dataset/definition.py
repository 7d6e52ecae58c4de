"""What a dataset is: a primary activity, whose occurrences are the rows, and activities appended to each of them.

    {"primary":  {"activity", "occurrence": {"kind"}, "filters": [], "columns": []},
     "appended": [{"activity", "relationship", "n"?, "filters": [], "join_conditions": [], "columns": []}]}

    kind          all · first · last · nth (n) · time_spine (interval, end_period): a row per customer and period
    relationship  first, last, nth or aggregate _ ever, before, after, in_between or between_before
    column        {"column" or "feature", "as", "type", "aggregate"?, "delimiter"?}
    condition     {"op", "left": {"side", "column" or "feature", "type"}, "right": {"literal"} or as left}

Filters choose the rows an activity has here, before they are numbered; join conditions choose which of these rows fit a
row of the primary, and number nothing anew. The format is that of `activityschema-case/1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from cdesk.errors import UsageError

APPENDED_MAX = 50
COLUMNS_MAX = 500
CONDITIONS_MAX = 100
NTH_MAX = 1_000_000
NUMBER_MAX = 1e308

Kind: TypeAlias = Literal["string", "integer", "number", "boolean", "timestamp", "json"]
Side: TypeAlias = Literal["primary", "appended"]
Pick: TypeAlias = Literal["first", "last", "nth", "aggregate"]
When: TypeAlias = Literal["ever", "before", "after", "in_between", "between_before"]
Interval: TypeAlias = Literal["day", "week", "month", "quarter", "year"]
Scalar: TypeAlias = str | bool | int | float | None

TYPES: dict[str, Kind] = {
    "string": "string", "text": "string", "varchar": "string", "integer": "integer", "int": "integer",
    "bigint": "integer", "number": "number", "float": "number", "double": "number", "decimal": "number",
    "numeric": "number", "boolean": "boolean", "bool": "boolean", "timestamp": "timestamp", "json": "json",
}  # fmt: skip
COLUMNS: dict[str, Kind] = {
    "activity_id": "string", "ts": "timestamp", "customer": "string", "anonymous_customer_id": "string",
    "activity": "string", "feature_json": "json", "revenue_impact": "number", "link": "string",
    "activity_occurrence": "integer", "activity_repeated_at": "timestamp",
}  # fmt: skip
"""Of the stream, with what they hold. The last two are counted anew within the filtered rows."""
COUNTED = ("activity_occurrence", "activity_repeated_at")
OF_A_SPINE = ("activity_id", "ts", "customer", "anonymous_customer_id", "activity", *COUNTED)
AGGREGATES = (
    "count", "count_distinct", "sum", "sum_bool", "avg", "min", "max", "listagg", "listagg_distinct",
)  # fmt: skip
_ARITHMETIC = {"sum": ("integer", "number"), "avg": ("integer", "number"), "sum_bool": ("boolean",)}
PICKS: tuple[Pick, ...] = ("first", "last", "nth", "aggregate")
WHENS: tuple[When, ...] = ("ever", "before", "after", "in_between", "between_before")
RELATIONSHIPS: dict[str, tuple[Pick, When]] = {
    **{f"{pick}_{when}": (pick, when) for pick in PICKS for when in WHENS},
    "aggregate_all_ever": ("aggregate", "ever"),
}
COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
"""As they are written, and as SQL says them."""
LISTS = {"in": "IN", "not in": "NOT IN"}
TESTS = {"is null": "IS NULL", "is not null": "IS NOT NULL"}
OPS = (*COMPARISONS, *LISTS, *TESTS)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Occurrence(_Strict, frozen=True):
    """Which rows of the primary activity are rows here; for a time spine, how long its periods are and where they end:
    with the period of the customer's last activity, or the current one."""

    kind: Literal["all", "first", "last", "nth", "time_spine"] = "all"
    n: int | None = None
    interval: Interval | None = None
    end_period: Literal["max", "current"] = "max"


class Column(_Strict, frozen=True):
    """One column of the answer: of the stream, or a key of feature_json. type: of the answer's values"""

    column: str | None = None
    feature: str | None = None
    name: str = msgspec.field(default="", name="as")
    type: str = ""
    aggregate: str | None = None
    delimiter: str = "\n"
    list_order: Literal["value ascending"] = "value ascending"

    @property
    def source(self) -> str:
        return self.column or self.feature or ""

    @property
    def title(self) -> str:
        return self.name or (f"{self.aggregate}_{self.source}" if self.aggregate else self.source)


class Operand(_Strict, frozen=True):
    """What a condition compares: a column or feature of one side, or a literal; a list of them for `in`."""

    side: Side | None = None
    column: str | None = None
    feature: str | None = None
    type: str = ""
    literal: Scalar | list[Scalar] | UnsetType = UNSET

    @property
    def is_literal(self) -> bool:
        return self.literal is not UNSET


class Condition(_Strict, frozen=True):
    op: str
    left: Operand
    right: Operand = Operand(literal=None)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Those that are read from rows."""
        return tuple(each for each in (self.left, self.right) if not each.is_literal)


class Primary(_Strict, frozen=True):
    activity: str
    occurrence: Occurrence = Occurrence()
    filters: tuple[Condition, ...] = ()
    columns: tuple[Column, ...] = ()


class Append(_Strict, frozen=True):
    activity: str
    relationship: str
    n: int | None = None
    filters: tuple[Condition, ...] = ()
    join_conditions: tuple[Condition, ...] = ()
    columns: tuple[Column, ...] = ()

    @property
    def pick(self) -> Pick:
        return RELATIONSHIPS[self.relationship][0]

    @property
    def when(self) -> When:
        return RELATIONSHIPS[self.relationship][1]


class Definition(_Strict, frozen=True):
    primary: Primary
    appended: tuple[Append, ...] = ()

    @property
    def columns(self) -> list[Column]:
        """Of the answer, in its order."""
        return [*self.primary.columns, *(column for append in self.appended for column in append.columns)]


def decoded(text: bytes | str) -> Definition:
    """A checked definition from its JSON, or from a whole case that holds one. Raises UsageError, in one line."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the definition is not JSON: {error}.") from None
    return converted(found)


def converted(found: Any) -> Definition:
    """A checked definition from plain JSON values. Raises UsageError."""
    if isinstance(found, dict) and "primary" not in found and isinstance(found.get("definition"), dict):
        found = found["definition"]
    try:
        definition = msgspec.convert(found, Definition)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the definition is wrong: {error}.", "docs/dataset.md shows its format.") from None
    return checked(definition)


def checked(definition: Definition) -> Definition:
    """The definition. Raises UsageError where it says what no dataset can be."""
    _check_sizes(definition)
    _check_occurrence(definition.primary)
    for append in definition.appended:
        _check_relationship(append)
    is_spine = definition.primary.occurrence.kind == "time_spine"
    for column in definition.primary.columns:
        _check_column(column, aggregated=False, is_spine=is_spine)
    for append in definition.appended:
        for column in append.columns:
            _check_column(column, aggregated=append.pick == "aggregate")
    for condition, side in _filters(definition):
        _check_filter(condition, side)
    for append in definition.appended:
        for condition in append.join_conditions:
            _check_condition(condition, is_spine)
    _check_titles([column.title for column in definition.columns])
    return definition


def _filters(definition: Definition) -> Iterator[tuple[Condition, Side]]:
    yield from ((each, "primary") for each in definition.primary.filters)
    yield from ((each, "appended") for append in definition.appended for each in append.filters)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that is meant, most likely; else all of them, if they are few."""
    names = sorted(known)
    lowered = {each.lower(): each for each in reversed(names)}
    near = get_close_matches(name.lower(), lowered, 1, 0.5)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    return f"There are: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}." if names else ""


def _check_sizes(definition: Definition) -> None:
    conditions = len(list(_filters(definition))) + sum(len(each.join_conditions) for each in definition.appended)
    for count, most, what in (
        (len(definition.appended), APPENDED_MAX, "appended activities"),
        (len(definition.columns), COLUMNS_MAX, "columns"), (conditions, CONDITIONS_MAX, "conditions"),
    ):  # fmt: skip
        if count > most:
            raise UsageError(f"a dataset has at most {most} {what}, not {count}.")
    if not definition.columns:
        raise UsageError("a dataset without columns has no answer.", "Name at least one in `columns`.")


def _check_occurrence(primary: Primary) -> None:
    if primary.occurrence.kind == "nth":
        _check_nth(primary.occurrence.n, "the primary's occurrence")
    if primary.occurrence.kind == "time_spine" and primary.occurrence.interval is None:
        raise UsageError("a time spine wants an interval.", "One of: day, week, month, quarter, year.")


def _check_relationship(append: Append) -> None:
    if append.relationship not in RELATIONSHIPS:
        raise UsageError(
            f"there is no relationship {append.relationship[:60]!r}.", nearest(append.relationship, RELATIONSHIPS)
        )
    if append.pick == "nth":
        _check_nth(append.n, append.relationship)


def _check_nth(n: int | None, what: str) -> None:
    if n is None or not 1 <= n <= NTH_MAX:
        raise UsageError(f"{what} wants n, a number from 1 to {NTH_MAX:,}.", 'Such as "n": 2.')


def _check_column(column: Column, *, aggregated: bool, is_spine: bool = False) -> None:
    _check_source(column, is_spine)
    if aggregated and column.aggregate is None:
        raise UsageError(
            f"column {column.title!r} of an aggregate wants an aggregate.", f"One of: {_said(AGGREGATES)}."
        )
    if not aggregated and column.aggregate is not None:
        raise UsageError(
            f"column {column.title!r} aggregates, but one row is appended.", "Use an aggregate relationship."
        )
    if column.aggregate is not None and column.aggregate not in AGGREGATES:
        raise UsageError(f"there is no aggregate {column.aggregate[:60]!r}.", nearest(column.aggregate, AGGREGATES))
    wanted = _ARITHMETIC.get(column.aggregate or "", ())
    if wanted and column.column is not None and COLUMNS[column.column] not in wanted:
        raise UsageError(f"{column.aggregate} of {column.column} means nothing.", "Count it, or aggregate a feature.")


def _check_source(source: Column | Operand, is_spine: bool = False) -> None:
    if (source.column is None) == (source.feature is None):
        raise UsageError("a column names either `column` or `feature`, and not both.")
    kind_of(source)
    if source.column is not None and source.column not in COLUMNS:
        raise UsageError(
            f"the stream has no column {source.column[:60]!r}.",
            f"{nearest(source.column, COLUMNS)} What an activity says of itself is a feature.",
        )
    if is_spine and (source.feature is not None or source.column not in OF_A_SPINE):
        raise UsageError(
            f"a time spine has no {(source.feature or source.column or '')[:60]!r}.", f"It has: {_said(OF_A_SPINE)}."
        )


def _check_filter(condition: Condition, side: Side) -> None:
    _check_condition(condition, False)
    for operand in condition.operands:
        if operand.side not in (None, side):
            raise UsageError(
                f"a filter of the {side} activity cannot look at the {operand.side} one.", "Use join_conditions."
            )
        if operand.column in COUNTED:
            raise UsageError(f"{operand.column} is counted after filters.", "Choose by occurrence, or by relationship.")


def _check_condition(condition: Condition, is_spine: bool) -> None:
    if condition.op.lower() not in OPS:
        raise UsageError(f"there is no comparison {condition.op[:20]!r}.", f"There are: {' '.join(OPS)}.")
    if condition.left.is_literal:
        raise UsageError("the left of a condition is a column or feature.", "Turn it around.")
    for operand in condition.operands:
        _check_source(operand, is_spine and operand.side == "primary")
        if kind_of(operand) == "json":
            raise UsageError("JSON is not compared.", "Compare it as a string.")
    literal = condition.right.literal
    if isinstance(literal, UnsetType):
        if condition.op.lower() in LISTS:
            raise UsageError(f"{condition.op} wants a list of literals.", 'Such as {"literal": ["a", "b"]}.')
        return
    if condition.op.lower() in TESTS:
        return
    is_list = isinstance(literal, list)
    if is_list != (condition.op.lower() in LISTS) or literal == []:
        raise UsageError(f"{condition.op} wants {'one literal' if is_list and literal else 'a list of literals'}.")
    for each in literal if isinstance(literal, list) else [literal]:
        bound(each, kind_of(condition.left))


def _check_titles(titles: list[str]) -> None:
    seen = set[str]()
    for title in titles:
        if title.lower() in seen:
            raise UsageError(f"two columns are called {title[:60]!r}.", 'Name one of them otherwise with "as".')
        if not title or len(title) > 255 or "\0" in title:
            raise UsageError(f"no column can be called {title[:60]!r}.", "Give 1 to 255 characters.")
        seen.add(title.lower())


def kind_of(source: Column | Operand) -> Kind:
    """What its values are; unsaid: what the column holds, and text for a feature. Raises UsageError."""
    if not source.type:
        return COLUMNS.get(source.column or "", "string")
    kind = TYPES.get(source.type.lower())
    if kind is None:
        raise UsageError(f"there is no type {source.type[:40]!r}.", nearest(source.type, set(TYPES.values())))
    return kind


def bound(literal: Scalar, kind: Kind) -> tuple[Scalar | datetime, str]:
    """A literal as a value to compare with what is of this kind, and its SQL type. Raises UsageError."""
    if isinstance(literal, int | float) and not abs(literal) <= NUMBER_MAX:
        raise UsageError("a literal is out of all bounds.", "Numbers are as a DOUBLE can hold them.")
    wanted = f"the literal {str(literal)[:60]!r} is no {kind}."
    match kind, literal:
        case _, None:
            raise UsageError("nothing equals null.", "Use the comparisons `is null` and `is not null`.")
        case "string", str():
            return literal, "VARCHAR"
        case "boolean", bool():
            return literal, "BOOLEAN"
        case (("integer" | "number"), bool()):
            raise UsageError(wanted)
        case "integer", int() if abs(literal) < 2**63:
            return literal, "BIGINT"
        case (("integer" | "number"), (int() | float())):
            return float(literal), "DOUBLE"
        case "timestamp", str():
            return _time(literal), "TIMESTAMP_NTZ"
    raise UsageError(wanted, "Give the operand the type of what it is compared with.")


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"not a time: {text[:60]!r}.", "Write it as 2026-11-28 or 2026-11-28T12:30:00, in UTC."
        ) from None
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def _said(names: Iterable[str]) -> str:
    return ", ".join(names)
