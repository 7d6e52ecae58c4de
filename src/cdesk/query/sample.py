"""Answers a question from a part of the rows, says which part, and how far off each figure may be.

    text ──▶ one SELECT over one relation ──▶ slices of time, one of each k ──▶ figures × k, and a ± beside each

Limits first. What is sampled is a single SELECT over one relation with a `ts`, without joins, windows, DISTINCT or set
operations; its figures are COUNT, COUNT_IF, SUM and AVG, also within other terms, and MIN and MAX. Everything else is
refused: a number without a known error is no answer. `rows` without figures come as they are, fewer.

Time is cut into slices, k slices in a row are a stratum, and of each stratum one slice is read, which one is drawn from
seed and stratum. The same seed draws the same slices, today and when more data has come, as long as a slice is as long.
Whole slices, because rows of one time lie side by side: the ranges stand in the text, and what lies between is not read
from disk. With y_s the sum over the slice of stratum s, and strata taken in pairs for their difference d (collapsed
strata, Cochran, Sampling Techniques, 5A.12):

    total   k · Σ y_s                 variance   (1 − 1/k) · k² · Σ d_y²
    mean    r = Σ y_s / Σ n_s         variance   (1 − 1/k) · Σ (d_y − r·d_n)² / (Σ n_s)²

The ± holds in 95 of 100 samples: so many standard errors as Student's t with a degree of freedom for each pair has, by
its expansion z + 2.37/m + 2.82/m². It is too wide rather than too narrow where the pace changes from stratum to stratum,
and none where fewer than two strata have rows: NULL, not 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueryRefused
from cdesk.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from sqlglot import exp

SEED = 1
ONE_IN_MAX = 1_000
SLICE_ROWS = 2_048
"""About as many rows as DuckDB reads or skips at once."""
STRATA_MIN, STRATA_MAX = 24, 400
"""Fewer say little of their differences, more are a long text."""
ERROR = "_error"
"""After the name of a figure: the column that tells how far off it may be."""

EVER_SECONDS = 200 * 366 * 86_400.0
"""How far a question looks back that says nothing of it."""

_HOUR_SECONDS = 3_600
"""Questions look back from the beginning of the hour."""
_EPOCH = datetime(1970, 1, 1)
_CHOSEN = "_cdesk_chosen_slices"
"""Stands for hundreds of ranges until the text is whole: they need no parsing."""
_PARTS, _TIME = "_parts", "ts"
_STUDENT = "(1.96 + 2.37 / COUNT(*) + 2.82 / (COUNT(*) * COUNT(*)))"


class Estimated(Protocol):
    """What a statement would read."""

    @property
    def bytes(self) -> int: ...

    @property
    def rows(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A statement that answers from a part of the rows.

    rate       part of the time that is read, 1/k
    errors     names of the columns with a ±, each the name of a figure and ERROR
    watermark  to be shown with every figure
    """

    sql: str
    rate: float
    seed: int
    errors: tuple[str, ...]
    watermark: str


def one_in(bytes_estimated: int, bytes_max: int) -> int:
    """Of how many slices one may be read. Raises QueryRefused where so small a part would say nothing."""
    k = max(2, math.ceil(bytes_estimated / max(bytes_max, 1)))
    if k > ONE_IN_MAX:
        raise QueryRefused(
            f"it would read about {bytes_estimated:,} bytes; one in {ONE_IN_MAX:,} is still over {bytes_max:,}.",
            "Ask for fewer days.",
        )
    return k


def slice_seconds(k: int, rows: int, seconds: float) -> int:
    """How long a slice is, one of k, where so many rows fall into so long a time: a power of two, so that it seldom changes."""
    whole = SLICE_ROWS * seconds / max(rows, 1)
    wanted = min(max(whole, seconds / (k * STRATA_MAX)), seconds / (k * STRATA_MIN))
    return int(2 ** max(round(math.log2(max(wanted, 1))), 0))


def check_can_sample(sql: str, estimate: Estimated, bytes_max: int) -> None:
    """Raises QueryRefused for what is no single SELECT over one relation that can be sampled; reads nothing."""
    one_in(estimate.bytes, bytes_max)
    _tree(sql)


class Sampler:
    """Samples of one warehouse, where only the cap and how far a question looks back are known."""

    def __init__(self, warehouse: Warehouse, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._clock = clock

    def __call__(self, sql: str, estimate: Estimated, bytes_max: int, seconds: float) -> Sample:
        """The statement over as much of the time as may be read. seconds: it looks back at most so far.

        Raises QueryRefused where no sample can be had."""
        k = one_in(estimate.bytes, bytes_max)
        oldest, newest = self._times(sql)
        back = self._clock.now().replace(tzinfo=None) - timedelta(seconds=seconds + _HOUR_SECONDS)
        times = (max(oldest, min(back, newest)), newest)
        long = (times[1] - times[0]).total_seconds()
        return sampled(sql, k, times, seconds=slice_seconds(k, estimate.rows, long))

    def _times(self, sql: str) -> tuple[datetime, datetime]:
        """Of the oldest and the newest row of the one relation that is asked."""
        source = _source(_tree(sql))
        if _TIME not in [name.lower() for name in self._warehouse.query(f"SELECT * FROM {source} LIMIT 0").columns]:
            raise _unfit(f"{source} has no {_TIME}")
        found = self._warehouse.query(f"SELECT min({_TIME}), max({_TIME}) FROM {source}").rows[0]
        if found[0] is None:
            raise _unfit("it asks a table without rows")
        return found[0], found[1]


def sampled(sql: str, k: int, times: tuple[datetime, datetime], *, seconds: int, seed: int = SEED) -> Sample:
    """The statement, in DuckDB's words, over one of each k slices of so many seconds. times: of the oldest and the newest
    row that it can read.

    Its columns keep their names, order and parameters; the ± columns come after them. Raises QueryRefused for what cannot
    be sampled."""
    from sqlglot import exp

    tree = _tree(sql)
    alias = tree.args["from_"].this.alias_or_name
    where = _Slices(k, times, seconds, seed, exp.column(_TIME, table=alias, quoted=True))
    has_figures = bool(tree.args.get("group")) or any(item.find(exp.AggFunc) for item in tree.expressions)
    if has_figures:
        tree, errors = _Figures(tree, where).statement()
    else:
        tree, errors = tree.where(_CHOSEN), ()
    text = tree.sql(dialect="duckdb", comments=False).replace(_CHOSEN, where.chosen())
    return Sample(text, 1 / k, seed, errors, _watermark(k, seed, errors))


def _tree(sql: str) -> exp.Select:
    """Raises QueryRefused for what is no single SELECT over one relation that can be sampled."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, read="duckdb")
    except SqlglotError:
        raise _unfit("it cannot be read") from None
    if not isinstance(tree, exp.Select) or _CHOSEN in sql.lower():
        raise _unfit("it is more than one SELECT")
    _check(tree)
    return tree


def _source(tree: exp.Select) -> str:
    """The relation's name, quoted."""
    table: exp.Table = tree.args["from_"].this
    return ".".join(_quoted(part.name) for part in table.parts)


def _watermark(k: int, seed: int, errors: tuple[str, ...]) -> str:
    figures = "figures are estimates, ± (95 %) in the columns that end in " + ERROR if errors else "rows are missing"
    return f"SAMPLE: 1 of {k:,} slices of time was read ({100 / k:.3g} %, seed {seed}); {figures}."


def _unfit(why: str) -> QueryRefused:
    return QueryRefused(f"this cannot be sampled: {why}.", "Ask for fewer days, or for COUNT, SUM and AVG of one view.")


def _check(tree: exp.Select) -> None:
    from sqlglot import exp

    source = tree.args.get("from_")
    if source is None or not isinstance(source.this, exp.Table) or not isinstance(source.this.this, exp.Identifier):
        raise _unfit("it does not ask one table or view")
    for part, name in {
        "joins": "a join", "laterals": "a join", "with_": "WITH", "distinct": "DISTINCT", "qualify": "QUALIFY",
        "windows": "a window", "sample": "a sample already", "offset": "OFFSET",
    }.items():  # fmt: skip
        if tree.args.get(part):
            raise _unfit(f"it has {name}")
    for kind, name in {
        exp.Window: "a window", exp.Subquery: "a query within", exp.Exists: "a query within", exp.Distinct: "DISTINCT",
        exp.Pivot: "PIVOT", exp.TableSample: "a sample already",
    }.items():  # fmt: skip
        if tree.find(kind):
            raise _unfit(f"it has {name}")
    if len(list(tree.find_all(exp.Select))) > 1:
        raise _unfit("it has a query within")
    if any(not placeholder.this for placeholder in tree.find_all(exp.Placeholder)):
        raise _unfit("its parameters have no names")


class _Slices:
    """Terms over `ts`: which rows are read, and to which pair of strata each belongs, with which sign."""

    def __init__(
        self, k: int, times: tuple[datetime, datetime], seconds: int, seed: int, time: exp.Column
    ) -> None:  # fmt: skip
        self.k = k
        self._time = time.sql(dialect="duckdb")
        self._stratum = f"(epoch_ms({self._time}) // {seconds * k * 1000})"
        first, last = (int((at - _EPOCH).total_seconds()) // (seconds * k) for at in times)
        self._ranges = [
            (self._at((number * k + _drawn(seed, number, k)) * seconds), seconds) for number in range(first, last + 2)
        ]

    @staticmethod
    def _at(seconds: int) -> datetime:
        return _EPOCH + timedelta(seconds=seconds)

    def chosen(self) -> str:
        """Ranges of constants are what is looked for in zone maps, also below a view."""
        return "(" + " OR ".join(
            f"({self._time} >= TIMESTAMP '{at}' AND {self._time} < TIMESTAMP '{at + timedelta(seconds=seconds)}')"
            for at, seconds in self._ranges
        ) + ")"  # fmt: skip

    def pair(self) -> exp.Expr:
        return _read(f"{self._stratum} // 2")

    def stratum(self) -> exp.Expr:
        return _read(self._stratum)

    def sign(self) -> str:
        return f"(CASE WHEN {self._stratum} % 2 = 0 THEN 1.0 ELSE -1.0 END)"


def _drawn(seed: int, stratum: int, k: int) -> int:
    return int.from_bytes(blake2b(f"{seed} {stratum}".encode(), digest_size=8).digest()) % k


def _read(text: str) -> exp.Expr:
    from sqlglot import parse_one

    return parse_one(text, read="duckdb")


class _Figures:
    """A query with figures, in two steps: sums for each pair of strata, then what they make together.

    Each figure of the query becomes columns of the first step and a term over them in the second."""

    def __init__(self, tree: exp.Select, slices: _Slices) -> None:
        self._tree = tree
        self._slices = slices
        self._parts: list[str] = []
        self._keys: dict[str, str] = {}
        self._terms: dict[str, str] = {}
        self._errors: dict[str, str] = {}

    def statement(self) -> tuple[exp.Select, tuple[str, ...]]:
        from sqlglot import exp, parse_one

        keys = self._grouped()
        for number, key in enumerate(keys):
            self._keys[key.sql(dialect="duckdb")] = f"_k{number}"
        names = [item.alias_or_name or item.sql(dialect="duckdb") for item in self._tree.expressions]
        items = [self._second(item.unalias()) for item in self._tree.expressions]
        having = self._tree.args.get("having")
        having_term = self._second(self._told(having.this)) if having else None
        order = [self._ordered(each, names) for each in self._order()]
        bars = [
            (name + ERROR, self._errors[found])
            for name, item in zip(names, self._tree.expressions, strict=True)
            if (found := _bare(item.unalias()).sql(dialect="duckdb")) in self._errors
        ]
        ks = [f"{key.sql(dialect='duckdb')} AS _k{number}" for number, key in enumerate(keys)]
        first = exp.select(
            *ks, f"{self._slices.pair().sql(dialect='duckdb')} AS _pair",
            f"COUNT(DISTINCT {self._slices.stratum().sql(dialect='duckdb')}) AS _strata", *self._parts, dialect="duckdb",
        ).from_(self._tree.args["from_"].this)  # fmt: skip
        if where := self._tree.args.get("where"):
            first = first.where(where.this)
        first = first.where(_CHOSEN).group_by("ALL", dialect="duckdb")
        columns = [f"{item} AS {_quoted(name)}" for item, name in zip(items, names, strict=True)]
        columns += [f"{term} AS {_quoted(name)}" for name, term in bars]
        text = f"SELECT {', '.join(columns)} FROM {_PARTS}"
        text += f" GROUP BY {', '.join(self._keys.values())}" if keys else ""
        text += f" HAVING {having_term}" if having_term else ""
        text += f" ORDER BY {', '.join(order)}" if order else ""
        second = parse_one(text, read="duckdb", into=exp.Select)
        if limit := self._tree.args.get("limit"):
            second.set("limit", limit.copy())
        return second.with_(_PARTS, first), tuple(name for name, _ in bars)

    def _grouped(self) -> list[exp.Expr]:
        """The keys as terms, whether they are said by position, by alias or as they are."""
        from sqlglot import exp

        group = self._tree.args.get("group")
        if group is None:
            return []
        if any(group.args.get(part) for part in ("grouping_sets", "cube", "rollup")):
            raise _unfit("it groups in more than one way")
        if group.args.get("all"):
            return [item.unalias() for item in self._tree.expressions if not item.find(exp.AggFunc)]
        return [self._meant(each) for each in group.expressions]

    def _meant(self, key: exp.Expr) -> exp.Expr:
        from sqlglot import exp

        items: list[exp.Expr] = self._tree.expressions
        if isinstance(key, exp.Literal) and not key.is_string:
            place = int(key.this)
            if not 1 <= place <= len(items):
                raise _unfit(f"there is no column {place}")
            return items[place - 1].unalias()
        if isinstance(key, exp.Column) and not key.table:
            for item in items:
                is_it = isinstance(item, exp.Alias) and item.alias.lower() == key.name.lower()
                if is_it and not any(
                    column.name.lower() == key.name.lower() for column in item.this.find_all(exp.Column)
                ):
                    return item.unalias()
        return key

    def _told(self, term: exp.Expr) -> exp.Expr:
        """The term with what aliases stand for."""
        from sqlglot import exp

        said = {item.alias.lower(): item.unalias() for item in self._tree.expressions if isinstance(item, exp.Alias)}

        def meant(node: exp.Expr) -> exp.Expr:
            is_alias = isinstance(node, exp.Column) and not node.table and node.name.lower() in said
            return exp.paren(said[node.name.lower()]) if is_alias and not node.find_ancestor(exp.AggFunc) else node

        changed: exp.Expr = term.transform(meant)
        return changed

    def _order(self) -> list[exp.Ordered]:
        order = self._tree.args.get("order")
        return list(order.expressions) if order else []

    def _ordered(self, each: exp.Ordered, names: list[str]) -> str:
        """By position and by name as it was; by another term, as that term is now."""
        from sqlglot import exp

        found = each.this
        is_name = isinstance(found, exp.Column) and not found.table and found.name.lower() in {n.lower() for n in names}
        changed = each.copy()
        if not is_name and not isinstance(found, exp.Literal):
            changed.set("this", _read(self._second(found)))
        return changed.sql(dialect="duckdb")

    def _second(self, term: exp.Expr) -> str:
        """The term over the sums: keys by their names, figures by what estimates them."""
        return self._put(term).sql(dialect="duckdb")

    def _put(self, term: exp.Expr) -> exp.Expr:
        from sqlglot import exp

        text = term.sql(dialect="duckdb")
        if text in self._keys:
            return exp.column(self._keys[text])
        if isinstance(term, exp.Filter | exp.AggFunc):
            return _read(f"({self._figure(term)})")
        if isinstance(term, exp.Column | exp.Star):
            raise _unfit(f"{text} is neither a key nor within a figure")
        changed = term.copy()
        for name, value in list(changed.args.items()):
            if isinstance(value, exp.Expr):
                changed.set(name, self._put(value))
            elif isinstance(value, list):
                changed.set(name, [self._put(one) if isinstance(one, exp.Expr) else one for one in value])
        return changed

    def _figure(self, term: exp.Expr) -> str:
        text = term.sql(dialect="duckdb")
        if text not in self._terms:
            self._terms[text], error = self._estimated(term, f"_f{len(self._terms)}")
            if error:
                self._errors[text] = error
        return self._terms[text]

    def _estimated(self, term: exp.Expr, name: str) -> tuple[str, str | None]:
        """What estimates a figure, and its ±."""
        from sqlglot import exp

        only, figure = None, term
        if isinstance(term, exp.Filter):
            only, figure = term.expression.this.sql(dialect="duckdb"), term.this
        inner = figure.this.sql(dialect="duckdb") if isinstance(figure.this, exp.Expr) else ""
        if figure.expressions:
            raise _unfit(f"{term.sql(dialect='duckdb')[:60]} has no known error")
        k = self._slices.k
        match figure:
            case exp.Count() if isinstance(figure.this, exp.Star) or not inner:
                self._sums(name, "y", "1", only)
            case exp.Count():
                self._sums(name, "y", f"(CASE WHEN ({inner}) IS NULL THEN 0 ELSE 1 END)", only)
            case exp.CountIf():
                self._sums(name, "y", f"(CASE WHEN {inner} THEN 1 ELSE 0 END)", only)
            case exp.Sum():
                self._sums(name, "y", inner, only)
            case exp.Avg():
                self._sums(name, "y", inner, only)
                self._sums(name, "n", f"(CASE WHEN ({inner}) IS NULL THEN 0 ELSE 1 END)", only)
                return f"(SUM({name}_y) / NULLIF(SUM({name}_n), 0))", self._mean_error(name)
            case exp.Min() | exp.Max():
                said = f"{figure.key.upper()}({inner})" + (f" FILTER (WHERE {only})" if only else "")
                self._parts.append(f"{said} AS {name}")
                return f"{figure.key.upper()}({name})", None
            case _:
                raise _unfit(f"{term.sql(dialect='duckdb')[:60]} has no known error")
        total = f"(SUM({name}_y) * {k})"
        if not isinstance(figure, exp.Sum):
            total = f"COALESCE(CAST({total} AS BIGINT), 0)"
        return total, self._when_known(f"{k} * SQRT(SUM({name}_y_d * {name}_y_d) * (1 - 1.0 / {k}))")

    def _sums(self, name: str, part: str, value: str, only: str | None) -> None:
        """A row's value, summed for the pair, and the difference between its two strata."""
        kept = f"CASE WHEN {only} THEN {value} END" if only else value
        self._parts.append(f"SUM({kept}) AS {name}_{part}")
        self._parts.append(f"COALESCE(SUM(CAST({kept} AS DOUBLE) * {self._slices.sign()}), 0) AS {name}_{part}_d")

    def _mean_error(self, name: str) -> str:
        y, n, mean = f"{name}_y_d", f"{name}_n_d", f"(SUM({name}_y) / NULLIF(SUM({name}_n), 0))"
        spread = f"SUM({y} * {y}) - 2 * {mean} * SUM({y} * {n}) + {mean} * {mean} * SUM({n} * {n})"
        spread = f"GREATEST({spread}, 0) * (1 - 1.0 / {self._slices.k})"
        return self._when_known(f"SQRT({spread}) / NULLIF(SUM({name}_n), 0)")

    def _when_known(self, error: str) -> str:
        return f"(CASE WHEN SUM(_strata) >= 2 THEN {_STUDENT} * {error} END)"


def _bare(term: exp.Expr) -> exp.Expr:
    """A figure under what only changes how it looks."""
    from sqlglot import exp

    while isinstance(term, exp.Round | exp.Paren | exp.Cast | exp.Coalesce):
        term = term.this
    return term


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
