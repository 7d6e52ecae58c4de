"""A definition as one SQL statement, in the portable dialect (see sql/dialect.py).

    keys               the customers of the primary activity, numbered       who, k
    p_rows, a1_rows    what is read of each activity, one row each
    p, a1              after filters, with the numbers that are asked for    n, next_ts, previous_ts
    j0, j1, …          the primary's rows, with one activity more each time

An appended activity never adds or drops a row. How it is found:

    one row of the customer   found, then joined by k: ever, and windows open at the end that is looked for
    nearest in time           ASOF, checked against the window's other edge. Of rows at one instant only the one that
                              wins by activity_id is left before, as both engines say nothing of ties
    aggregate of a gap        in-between windows do not overlap: ASOF gives each row the one it falls into
    running aggregate         before and after: one pass over both activities in time order
    anything else             every pair, then ranked or grouped: conditions across both sides, lists, distinct counts

Names are written by `quote` or as escaped literals, values are bound as :1, :2, …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlglot import exp

from cdesk.dataset.bounds import Bounds, Edge, Window, window
from cdesk.dataset.definition import (
    COLUMNS,
    COMPARISONS,
    COUNTED,
    LISTS,
    TESTS,
    Append,
    Column,
    Condition,
    Definition,
    Kind,
    Operand,
    Primary,
    Scalar,
    Side,
    bound,
    kind_of,
)  # fmt: skip
from cdesk.sql.identifier import quote
from cdesk.warehouse.warehouse import STREAM

BEGINNING, END = "'0001-01-01'::TIMESTAMP_NTZ", "'9999-12-31 23:59:59.999999'::TIMESTAMP_NTZ"
"""What stands for no neighbour."""
WHO = "COALESCE(customer, anonymous_customer_id)"
ORDER = "PARTITION BY k ORDER BY ts, activity_id"


@dataclass(frozen=True, slots=True)
class Statement:
    """sql: Snowflake's dialect, for any warehouse by way of sql/dialect.py · values: of :1, :2, …"""

    sql: str
    values: tuple[Scalar | datetime, ...]


def compiled(
    definition: Definition, bounds: Bounds = "default", stream: str = STREAM, *, is_ordered: bool = True
) -> Statement:
    """The statement that gives a checked definition's rows. stream: the table's name · is_ordered: by time, which costs
    a quarter more; else in any order"""
    return _Compiler(definition, bounds, quote(stream)).statement(is_ordered)


@dataclass(slots=True)
class _Values:
    """What is bound, in the order of its numbers."""

    given: list[Scalar | datetime] = field(default_factory=list)

    def place(self, value: Scalar | datetime, kind: str) -> str:
        self.given.append(value)
        return f"CAST(:{len(self.given)} AS {kind})"


@dataclass(slots=True)
class _Rows:
    """One activity's rows: what is read of them, by name, and what is counted."""

    name: str
    activity: str
    read: dict[str, str] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    conditions: list[str] = field(default_factory=list)

    def operand(self, source: Column | Operand, kind: Kind | None) -> str:
        """The name under which p or a1 has this value."""
        if source.column in COUNTED:
            name = "n" if source.column == "activity_occurrence" else "next_ts"
            self.counted.add(name)
            return name if kind in (None, COLUMNS[source.column]) else f"{name}::{_SQL_TYPES[kind]}"
        read = _expression(source, kind)
        return read if read in ("ts", "activity_id") else self.read.setdefault(read, f"c{len(self.read) + 1}")


_SQL_TYPES: dict[Kind, str] = {
    "string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP_NTZ",
    "json": "VARCHAR",
}  # fmt: skip
_COUNTS = {
    "n": f"ROW_NUMBER() OVER ({ORDER}) AS n",
    "next_ts": f"LEAD(ts) OVER ({ORDER}) AS next_ts",
    "previous_ts": f"LAG(ts) OVER ({ORDER}) AS previous_ts",
}


def _expression(source: Column | Operand, kind: Kind | None) -> str:
    """kind None: as the stream has it."""
    if source.column is not None:
        if source.column == "feature_json":
            return "TO_JSON(feature_json)"
        as_is = kind is None or (kind == COLUMNS[source.column] and source.column != "activity_id")
        return source.column if as_is else f"TRY_CAST({source.column}::VARCHAR AS {_SQL_TYPES[kind or 'string']})"
    value = f"GET(feature_json, {exp.Literal.string(source.feature or '').sql('snowflake')})"
    match kind:
        case "json":
            return f"TO_JSON({value})"
        case None | "string":
            return f"{value}::VARCHAR"
        case _:
            return f"TRY_CAST({value}::VARCHAR AS {_SQL_TYPES[kind]})"


class _Compiler:
    def __init__(self, definition: Definition, bounds: Bounds, stream: str) -> None:
        self.definition = definition
        self.bounds = bounds
        self.stream = stream
        self.values = _Values()
        self.primary = _Rows("p", definition.primary.activity)
        self.is_single = definition.primary.occurrence.kind in ("first", "last", "nth")
        self.steps: list[tuple[str, str]] = []
        self.outputs: list[tuple[str, str]] = []

    def statement(self, is_ordered: bool) -> Statement:
        for column in self.definition.primary.columns:
            name = self.primary.operand(column, _output_kind(column))
            self.outputs.append((name, column.title))
        appended = [_Appended(self, number, append) for number, append in enumerate(self.definition.appended, 1)]
        heads = [self._keys(), *self._primary_rows()]
        for each in appended:
            each.join()
        columns = ",\n       ".join(f"{name} AS {quote(title)}" for name, title in self.outputs)
        texts = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in [*heads, *self.steps])
        last = f"j{len(appended)}" if appended else "p"
        recursive = "RECURSIVE " if self.definition.primary.occurrence.kind == "time_spine" else ""
        order = f"\n ORDER BY {last}.ts, {last}.k, {last}.activity_id" if is_ordered else ""
        return Statement(f"WITH {recursive}{texts}\nSELECT {columns}\n  FROM {last}{order}", tuple(self.values.given))

    def _primary_rows(self) -> list[tuple[str, str]]:
        primary, rows = self.definition.primary, self.primary
        if primary.occurrence.kind == "time_spine":
            return self._spine(primary)
        rows.conditions = [self.condition(each, rows, rows) for each in primary.filters]
        chosen = ""
        match primary.occurrence.kind:
            case "first":
                rows.counted.add("n")
                chosen = "n = 1"
            case "nth":
                rows.counted.add("n")
                chosen = f"n = {self.values.place(primary.occurrence.n, 'BIGINT')}"
            case "last":
                rows.counted.add("next_ts")
                chosen = "next_ts IS NULL"
        return self.rows(rows, chosen)

    def rows(self, rows: _Rows, chosen: str = "") -> list[tuple[str, str]]:
        """What is read, and what is left of it, counted. Of an appended activity only customers of the primary's count."""
        read = "".join(f", {text} AS {name}" for text, name in rows.read.items())
        head = (
            f"SELECT {WHO} AS who, ts, activity_id{read}\n"
            f"  FROM {self.stream}\n WHERE activity = {self.values.place(rows.activity, 'VARCHAR')}"
        )
        names = ["keys.k", "ts", "activity_id", *rows.read.values(), *(_COUNTS[name] for name in sorted(rows.counted))]
        join = "JOIN" if rows.name.startswith("a") else "LEFT JOIN"
        kept = (
            f"SELECT {', '.join(names)}\n  FROM {rows.name}_rows\n  {join} keys ON keys.who = {rows.name}_rows.who"
            f"{_where(rows.conditions)}"
        )
        if not chosen:
            return [(f"{rows.name}_rows", head), (rows.name, kept)]
        return [
            (f"{rows.name}_rows", head), (f"{rows.name}_all", kept),
            (rows.name, f"SELECT *\n  FROM {rows.name}_all\n WHERE {chosen}"),
        ]  # fmt: skip

    def _keys(self) -> tuple[str, str]:
        """A number for each customer of the primary activity: names are slow to sort and join by."""
        return "keys", (
            f"SELECT who, ROW_NUMBER() OVER (ORDER BY who) AS k\n  FROM (SELECT DISTINCT {WHO} AS who\n"
            f"          FROM {self.stream} WHERE activity = {self.values.place(self.primary.activity, 'VARCHAR')})"
        )

    def _spine(self, primary: Primary) -> list[tuple[str, str]]:
        """A row per customer and period, from that of the first activity on. What is asked of it is read of periods."""
        period = (primary.occurrence.interval or "day").upper()
        seen = _Rows("seen", primary.activity)
        seen.read = {name: name for name in ("customer", "anonymous_customer_id")} | {WHO: "named"}
        seen.conditions = [self.condition(each, seen, seen) for each in primary.filters]
        end = "MAX(ts)" if primary.occurrence.end_period == "max" else "GREATEST(MAX(ts), SYSDATE())"
        spans = (
            "SELECT k, named, MAX(customer) AS customer, MAX(anonymous_customer_id) AS anonymous_customer_id,\n"
            f"       DATE_TRUNC('{period}', MIN(ts)) AS first_ts, DATE_TRUNC('{period}', {end}) AS last_ts\n"
            "  FROM seen\n GROUP BY k, named"
        )
        spine = (
            "SELECT k, named, customer, anonymous_customer_id, first_ts AS ts, last_ts, 1 AS n\n  FROM spans\n UNION ALL\n"
            f"SELECT k, named, customer, anonymous_customer_id, DATEADD({period}, 1, ts), last_ts, n + 1\n"
            "  FROM spine\n WHERE ts < last_ts"
        )
        periods = (
            "SELECT *, MD5(named || ' ' || TO_DATE(ts)::VARCHAR) AS activity_id,\n"
            f"       {self.values.place(primary.activity, 'VARCHAR')} AS activity,\n"
            f"       DATEADD({period}, 1, ts) AS next_ts, DATEADD({period}, -1, ts) AS previous_ts\n  FROM spine"
        )
        read = "".join(f", {text} AS {name}" for text, name in self.primary.read.items())
        rows = f"SELECT k, ts, activity_id, n, next_ts, previous_ts{read}\n  FROM periods"
        return [*self.rows(seen), ("spans", spans), ("spine", spine), ("periods", periods), ("p", rows)]

    def condition(self, condition: Condition, left: _Rows, right: _Rows, prefixes: tuple[str, str] = ("", "")) -> str:
        """A comparison, its operands by the names of `primary` and `appended` rows; prefixes: what stands before them."""

        def side(operand: Operand) -> str:
            """Without a side it is the first of both: the appended one, in a join condition."""
            is_primary = operand.side == "primary" and right is not left
            rows, prefix = (right, prefixes[1]) if is_primary else (left, prefixes[0])
            name = rows.operand(operand, kind_of(operand))
            return f"{prefix}{name}"

        op = condition.op.lower()
        if op in TESTS:
            return f"{side(condition.left)} {TESTS[op]}"
        if not condition.right.is_literal:
            return f"{side(condition.left)} {COMPARISONS[op]} {side(condition.right)}"
        kind, literal = kind_of(condition.left), condition.right.literal
        if op in LISTS and isinstance(literal, list):
            places = ", ".join(self.values.place(*bound(each, kind)) for each in literal)
            return f"{side(condition.left)} {LISTS[op]} ({places})"
        assert not isinstance(literal, list) and not isinstance(literal, type(condition.right))
        return f"{side(condition.left)} {COMPARISONS[op]} {self.values.place(*bound(literal, kind))}"  # type: ignore[arg-type]


class _Appended:
    """One appended activity: knows what it needs of both sides before these are written."""

    def __init__(self, compiler: _Compiler, number: int, append: Append) -> None:
        self.compiler = compiler
        self.append = append
        self.before, self.after = (f"j{number - 1}" if number > 1 else "p"), f"j{number}"
        self.rows = _Rows(f"a{number}", append.activity)
        self.number = number
        self.window = window(compiler.definition.primary, append, compiler.bounds)
        self.sources = [self.rows.operand(column, _output_kind(column)) for column in append.columns]
        self.names = [f"o{number}_{place}" for place in range(1, len(append.columns) + 1)]
        own = [each for each in append.join_conditions if set(_sides(each)) == {"appended"}]
        across = [each for each in append.join_conditions if each not in own]
        self.rows.conditions = [compiler.condition(each, self.rows, self.rows) for each in append.filters]
        self.own = [compiler.condition(each, self.rows, self.rows) for each in own]
        self.across = [compiler.condition(each, self.rows, compiler.primary, ("a.", "b.")) for each in across]
        for edge in (self.window.begin, self.window.end):
            if edge is not None and edge.at != "ts":
                compiler.primary.counted.add(edge.at)
        compiler.outputs += [
            (_unless_nothing(name, column, compiler.bounds), column.title)
            for name, column in zip(self.names, append.columns, strict=True)
        ]
        if self._is_by_row:
            compiler.primary.counted.add("n")

    @property
    def _is_by_row(self) -> bool:
        """Whether primary rows are told apart by their number."""
        return not self.compiler.is_single and (bool(self.across) or self.append.pick == "aggregate")

    def join(self) -> None:
        """Adds the steps from the primary's rows so far to those with this activity."""
        match self.append.pick:
            case "aggregate":
                self._aggregate()
            case "nth":
                self.rows.counted.add("n")
                chosen = [f"n = {self.compiler.values.place(self.append.n, 'BIGINT')}", *self.own]
                self._add(chosen)
                self._join_row(self.rows.name)
            case "first" | "last" as pick:
                self._add(self.own)
                if self.across:
                    self._rank_pairs(pick)
                elif (self.window.begin if pick == "first" else self.window.end) is None:
                    self._rank_customers(pick)
                else:
                    self._nearest(pick)

    # -- one row -----------------------------------------------------------------------------------------------

    def _add(self, chosen: Sequence[str]) -> None:
        self.compiler.steps += self.compiler.rows(self.rows, " AND ".join(chosen))

    def _join_row(self, source: str) -> None:
        """One row of each customer at most, where it fits."""
        fits = " AND ".join(["b.k = a.k", *_within(self.window), *self.across])
        columns = self._given([f"a.{name}" for name in self.sources])
        self._step(self.after, f"SELECT b.*{columns}\n  FROM {self.before} AS b\n  LEFT JOIN {source} AS a ON {fits}")

    def _rank_customers(self, pick: str) -> None:
        """The rows at the customer's first or last time are few; only they are ranked."""
        ends, name, source = f"{self.rows.name}_end", f"{self.rows.name}_one", self.rows.name
        outmost = "MAX" if pick == "last" else "MIN"
        self._step(ends, f"SELECT k, {outmost}(ts) AS ts\n  FROM {source}\n GROUP BY k")
        self._step(
            name, f"SELECT a.*\n  FROM {source} AS a\n  JOIN {ends} AS e ON e.k = a.k AND e.ts = a.ts\n"
            f" QUALIFY ROW_NUMBER() OVER (PARTITION BY a.k {_by_id(pick, 'a.')}) = 1",
        )  # fmt: skip
        self._join_row(name)

    def _nearest(self, pick: str) -> None:
        """The nearest row beyond one edge, unless it is beyond the other, too."""
        name, edge = f"{self.rows.name}_apart", self.window.begin if pick == "first" else self.window.end
        other = self.window.end if pick == "first" else self.window.begin
        assert edge is not None
        self._step(
            name,
            f"SELECT *\n  FROM {self.rows.name}\n QUALIFY ROW_NUMBER() OVER (PARTITION BY k, ts {_by_id(pick)}) = 1",
        )
        match_ = f"b.{_bounded(edge.at)} {_facing(edge, pick == 'first')} a.ts"
        rest = _within(Window(end=other) if pick == "first" else Window(begin=other))
        sources = [f"a.{each}" for each in self.sources]
        if rest:
            sources = [f"CASE WHEN {' AND '.join(rest)} THEN {each} END" for each in sources]
        self._step(
            self.after,
            f"SELECT b.*{self._given(sources)}\n  FROM {self._bounded_rows(edge)} AS b\n"
            f"  ASOF JOIN {name} AS a MATCH_CONDITION ({match_}) ON b.k = a.k",
        )

    def _bounded_rows(self, edge: Edge) -> str:
        """The rows so far, with a time where the edge has none: nothing is nearest to null."""
        if edge.at == "ts":
            return self.before
        open_end = END if edge.at == "next_ts" else BEGINNING
        return f"(SELECT *, COALESCE({edge.at}, {open_end}) AS {_bounded(edge.at)} FROM {self.before})"

    def _rank_pairs(self, pick: str) -> None:
        name, given = f"{self.rows.name}_one", self._given([f"a.{each}" for each in self.sources])
        by = "b.k" if self.compiler.is_single else "b.k, b.n"
        fits = " AND ".join(["b.k = a.k", *_within(self.window), *self.across])
        self._step(
            name, f"SELECT {by}{given}\n  FROM p AS b\n  JOIN {self.rows.name} AS a ON {fits}\n"
            f" QUALIFY ROW_NUMBER() OVER (PARTITION BY {by} {_order(pick, 'a.')}) = 1",
        )  # fmt: skip
        self._join_found(name)

    # -- aggregates --------------------------------------------------------------------------------------------

    def _aggregate(self) -> None:
        name = f"{self.rows.name}_sums"
        self._add(self.own)
        is_whole = self.window == Window() and not self.across
        if is_whole:
            sums = self._given([_aggregated(c, s) for c, s in self._columns("")])
            self._step(name, f"SELECT k{sums}\n  FROM {self.rows.name}\n GROUP BY k")
        elif self.compiler.is_single or self.across:
            self._group_pairs(name)
        elif self.window.begin and self.window.end:
            self._group_gaps(name)
        elif all(column.aggregate in _RUNNING for column in self.append.columns):
            self._run_along(name)
        else:
            self._group_pairs(name)
        self._join_found(name, by_row=not is_whole)

    def _columns(self, prefix: str) -> list[tuple[Column, str]]:
        return [(column, f"{prefix}{name}") for column, name in zip(self.append.columns, self.sources, strict=True)]

    def _group_pairs(self, name: str) -> None:
        by = "b.k" if self.compiler.is_single else "b.k, b.n"
        fits = " AND ".join(["b.k = a.k", *_within(self.window), *self.across])
        sums = self._given([_aggregated(c, s) for c, s in self._columns("a.")])
        self._step(name, f"SELECT {by}{sums}\n  FROM p AS b\n  JOIN {self.rows.name} AS a ON {fits}\n GROUP BY {by}")

    def _group_gaps(self, name: str) -> None:
        """Each row falls into the gap of one primary row at most; of those at one instant, only the one with a gap."""
        begin, end = self.window.begin, self.window.end
        assert begin is not None and end is not None
        is_after = begin.at == "ts"
        neighbour, ahead = ("next_ts", ">") if is_after else ("previous_ts", "<")
        match_ = f"a.ts {'>' if is_after else '<'} b.ts"
        rest = _within(Window(end=end) if is_after else Window(begin=begin))
        gaps = f"(SELECT * FROM p WHERE {neighbour} IS NULL OR {neighbour} {ahead} ts)"
        sums = self._given([_aggregated(c, s) for c, s in self._columns("a.")])
        self._step(
            name, f"SELECT b.k, b.n{sums}\n  FROM {self.rows.name} AS a\n"
            f"  ASOF JOIN {gaps} AS b MATCH_CONDITION ({match_}) ON a.k = b.k"
            f"{_where(['b.k IS NOT NULL', *rest])}\n GROUP BY b.k, b.n",
        )  # fmt: skip

    def _run_along(self, name: str) -> None:
        """Both activities in the order of time; a primary row reads what has run up so far. It goes first of its
        instant, as neither before nor after takes what is at its own time."""
        is_before = self.window.end is not None
        values = {source: f"v{place}" for place, source in enumerate(dict.fromkeys(self.sources), 1)}
        over = (
            f" OVER (PARTITION BY k ORDER BY ts{'' if is_before else ' DESC'}, is_appended "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        )
        sums = self._given([_aggregated(column, values[source], over) for column, source in self._columns("")])
        kinds = {source: _stored_kind(column) for column, source in self._columns("")}
        nothing = "".join(f", CAST(NULL AS {_SQL_TYPES[kinds[source]]}) AS {name}" for source, name in values.items())
        given = "".join(f", {source} AS {name}" for source, name in values.items())
        both = (
            f"SELECT k, ts, n, 0 AS is_appended{nothing} FROM p WHERE k IS NOT NULL\n UNION ALL\n"
            f"SELECT k, ts, CAST(NULL AS BIGINT) AS n, 1 AS is_appended{given} FROM {self.rows.name}"
        )
        self._step(f"{self.rows.name}_both", both)
        self._step(f"{self.rows.name}_along", f"SELECT k, n{sums}\n  FROM {self.rows.name}_both")
        self._step(name, f"SELECT *\n  FROM {self.rows.name}_along\n WHERE n IS NOT NULL")

    # -- both --------------------------------------------------------------------------------------------------

    def _join_found(self, source: str, *, by_row: bool = True) -> None:
        fits = "b.k = a.k" if self.compiler.is_single or not by_row else "b.k = a.k AND b.n = a.n"
        given = "".join(f", a.{name}" for name in self.names)
        self._step(self.after, f"SELECT b.*{given}\n  FROM {self.before} AS b\n  LEFT JOIN {source} AS a ON {fits}")

    def _given(self, texts: Sequence[str]) -> str:
        return "".join(f",\n       {text} AS {name}" for text, name in zip(texts, self.names, strict=True))

    def _step(self, name: str, text: str) -> None:
        self.compiler.steps.append((name, text))


def _sides(condition: Condition) -> list[Side]:
    """Whom a join condition looks at; where no side is named, at the appended activity."""
    return [each.side or "appended" for each in condition.operands]


def _output_kind(column: Column) -> Kind | None:
    """What is read for a column: its values, or what its aggregate takes."""
    match column.aggregate:
        case "count" | "count_distinct":
            return None
        case "listagg" | "listagg_distinct":
            return "string"
        case "sum":
            return "integer" if column.type and kind_of(column) == "integer" else "number"
        case "avg":
            return "number"
        case "sum_bool":
            return "boolean"
    is_as_stored = column.column == "activity_id" and column.aggregate is None and kind_of(column) == "string"
    return None if is_as_stored else kind_of(column)


def _stored_kind(column: Column) -> Kind:
    """Of what is read for a column, also where it is read as the stream has it."""
    return _output_kind(column) or COLUMNS.get(column.column or "", "string")


_RUNNING = frozenset({"count", "sum", "sum_bool", "avg", "min", "max"})


def _aggregated(column: Column, source: str, over: str = "") -> str:
    delimiter = exp.Literal.string(column.delimiter).sql("snowflake")
    match column.aggregate:
        case "count_distinct":
            return f"COUNT(DISTINCT {source})"
        case "sum_bool":
            return f"COUNT(CASE WHEN {source} THEN 1 END){over}"
        case "listagg" | "listagg_distinct" as name:
            value = f"DISTINCT {source}" if name == "listagg_distinct" else source
            listed = f"LISTAGG({value}, {delimiter}) WITHIN GROUP (ORDER BY {source})"
            return f"CASE WHEN COUNT({source}) > 0 THEN {listed} END"
        case name:
            return f"{(name or '').upper()}({source}){over}"


def _unless_nothing(name: str, column: Column, bounds: Bounds) -> str:
    """Of no rows, counts and sums are 0; anything else is null."""
    counts = ("count", "count_distinct", "sum_bool")
    sums = () if bounds == "tnightengale" else ("sum",)
    return f"COALESCE({name}, 0)" if column.aggregate in (*counts, *sums) else name


def _order(pick: str, prefix: str = "") -> str:
    turn = " DESC" if pick == "last" else ""
    return f"ORDER BY {prefix}ts{turn}, {prefix}activity_id{turn}"


def _by_id(pick: str, prefix: str = "") -> str:
    """Who wins at one instant."""
    return f"ORDER BY {prefix}activity_id{' DESC' if pick == 'last' else ''}"


def _bounded(at: str) -> str:
    return at if at == "ts" else f"{at}_or_end"


def _facing(edge: Edge, is_begin: bool) -> str:
    return ("<" if is_begin else ">") + ("=" if edge.is_inclusive else "")


def _within(window: Window) -> list[str]:
    """Conditions that row a is within the window of row b."""
    return [
        *([_beyond(window.begin, True)] if window.begin else []), *([_beyond(window.end, False)] if window.end else []),
    ]  # fmt: skip


def _beyond(edge: Edge, is_begin: bool) -> str:
    compared = f"b.{edge.at} {_facing(edge, is_begin)} a.ts"
    return compared if edge.at == "ts" else f"(b.{edge.at} IS NULL OR {compared})"


def _where(conditions: Sequence[str]) -> str:
    return "\n WHERE " + " AND ".join(conditions) if conditions else ""
