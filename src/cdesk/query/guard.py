"""Lets through SQL from outside only when two parsers agree that it is one SELECT over what may be read.

    text ──DuckDB's parser──▶ its own tree ──every node known, every table granted, every function listed──▶ ┐
         ──sqlglot──────────▶ another tree ──one query, nothing that writes, the same tables────────────────▶ ┴▶ text

Limits first. What is not in a list below is refused: statements, kinds of node, tables, functions. What runs is the very
text that was parsed, by the parser that parsed it; sqlglot is there so that one parser's mistake is not enough. A name
is a CTE's only where DuckDB would take it for that one; everywhere else it must be granted. Functions that read files,
settings or other SQL, that wait, or that make a value as long as they are told, are in no list: DuckDB's memory limit
does not count a single value.

Views are trusted as they stand: what they read need not be granted.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

import duckdb
import msgspec

from cdesk.errors import QueryRefused
from cdesk.query.granted import AGGREGATES, CATALOG, FUNCTIONS, GRANTED, TABLE_FUNCTIONS

SQL_CHARACTERS_MAX = 100_000
PAD_MAX = 10_000
"""Characters that a text may be padded to; also the longest value a query can make out of nothing."""

_HELP = "See `cdesk sql --help` for examples."
_TABLES_HINT = "What there is: SELECT table_name FROM information_schema.tables."

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES = frozenset({"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EMPTY", "EXPRESSION_LIST"})
_CLASSES = frozenset({
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "LAMBDA",
    "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
})  # fmt: skip
_MODIFIERS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
_ORDERS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_INSTEAD = {
    "PIVOT": "Write SUM(x) FILTER (WHERE …).",
    "SHOW_REF": "Write SELECT … FROM information_schema.columns.",
}
_WIDE = re.compile(r"\d{4,}|\*|\{[^}]*\{")


def guarded(sql: str, granted: Collection[str] = GRANTED) -> str:
    """The text of the one SELECT in `sql`, as it was written, when all of it is allowed.

    granted     names of tables and views that may be read, besides those of CATALOG

    Raises QueryRefused, which says what is not allowed and what to write instead.
    """
    if len(sql) > SQL_CHARACTERS_MAX:
        raise QueryRefused(f"the SQL is longer than {SQL_CHARACTERS_MAX:,} characters.")
    text = _one_select(sql)
    try:
        seen = _Walk(frozenset(fold(name) for name in granted))
        seen.query(_tree(text), frozenset())
        _agrees(text, seen.tables)
    except RecursionError:
        raise QueryRefused("the SQL is nested too deeply.", "Name the steps: WITH … AS (…).") from None
    return text


def fold(name: str) -> str:
    """As DuckDB compares names: the case of ASCII letters alone does not matter."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in name)


# ---- what DuckDB sees --------------------------------------------------------------------------------------------


def _one_select(sql: str) -> str:
    try:
        statements = duckdb.extract_statements(sql.encode().decode())
    except UnicodeError:
        raise QueryRefused("this is not SQL: it holds half a character.") from None
    except duckdb.Error as error:
        raise QueryRefused(f"this is not SQL: {_first_line(error)}", _HELP) from None
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time, not {len(statements)}.", _HELP)
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise QueryRefused(
            f"only SELECT is allowed here, not {kind.name}.", "The warehouse is read-only for questions."
        )
    return statements[0].query


def _tree(text: str) -> dict[str, Any]:
    """DuckDB's own tree of one SELECT."""
    with _parser().cursor() as cursor:
        row = cursor.execute(
            "SELECT json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)", [text]
        ).fetchone()
    found = msgspec.json.decode(row[0]) if row else {}
    statements = found.get("statements", [])
    if found.get("error", True) or len(statements) != 1 or statements[0].keys() - {"node", "named_param_map"}:
        raise QueryRefused(
            "only a plain SELECT is allowed here.", _INSTEAD["PIVOT"] if "pivot" in text.lower() else _HELP
        )
    node: dict[str, Any] = statements[0]["node"]
    return node


_opening = threading.Lock()


def _parser() -> duckdb.DuckDBPyConnection:
    with _opening:
        return _opened()


@cache
def _opened() -> duckdb.DuckDBPyConnection:
    """An empty database that only parses."""
    return duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "64MB", "enable_external_access": "false"})


class _Walk:
    """Goes through a tree of DuckDB's. tables: how often each name was read from, CTEs' too, folded"""

    def __init__(self, granted: frozenset[str]) -> None:
        self._granted = granted
        self.tables: Counter[str] = Counter()

    def query(self, node: dict[str, Any], ctes: frozenset[str]) -> None:
        if node.get("type") not in _QUERIES:
            raise _not_allowed(node.get("type"))
        for cte in node.get("cte_map", {}).get("map", []):
            self._rest(cte["value"], ctes)
            ctes |= {fold(cte["key"])}
        is_recursive = node["type"] == "RECURSIVE_CTE_NODE"
        for key, value in node.items():
            inside = ctes | {fold(node["cte_name"])} if is_recursive and key == "right" else ctes
            if key not in ("cte_map", "type"):
                self._rest(value, inside)

    def _rest(self, value: Any, ctes: frozenset[str]) -> None:
        if isinstance(value, list):
            for each in value:
                self._rest(each, ctes)
        elif isinstance(value, dict):
            self._node(value, ctes)

    def _node(self, node: dict[str, Any], ctes: frozenset[str]) -> None:
        kind = node.get("type")
        if "class" in node:
            _check_expression(node)
            inner = [] if node["class"] == "CONSTANT" else list(node.values())
        elif isinstance(kind, str) and kind.endswith("_NODE"):
            return self.query(node, ctes)
        elif isinstance(kind, str) and kind in _SOURCES:
            inner = self._source(node, ctes)
        elif isinstance(kind, str) and kind not in _MODIFIERS and kind not in _ORDERS:
            raise _not_allowed(kind)
        else:
            inner = list(node.values())
        self._rest(inner, ctes)

    def _source(self, node: dict[str, Any], ctes: frozenset[str]) -> list[Any]:
        """What is inside of it."""
        if node["type"] == "BASE_TABLE":
            self._table(node, ctes)
        if node["type"] != "TABLE_FUNCTION":
            return list(node.values())
        function = node["function"]
        if function.get("class") != "FUNCTION":
            raise _not_allowed(function.get("class"))
        _known(function["function_name"], TABLE_FUNCTIONS)
        return [*function.values(), *(value for key, value in node.items() if key != "function")]

    def _table(self, node: dict[str, Any], ctes: frozenset[str]) -> None:
        path = [fold(part) for part in node["qualified_name"]["path"]]
        if "at_clause" in node:
            raise QueryRefused("time travel is not allowed here.")
        self.tables[path[-1]] += 1
        if len(path) == 1 and path[0] in ctes:
            return
        if tuple(path) in CATALOG or (path[-1] in self._granted and path[:-1] in ([], ["main"], ["warehouse", "main"])):
            return
        raise QueryRefused(
            f"{'.'.join(node['qualified_name']['path'])[:120]} may not be read here.", self._instead(path[-1])
        )

    def _instead(self, name: str) -> str:
        near = get_close_matches(name, self._granted, 1)
        return f"Did you mean {near[0].upper()}?" if near else _TABLES_HINT


def _check_expression(node: dict[str, Any]) -> None:
    if node["class"] not in _CLASSES:
        raise _not_allowed(node["class"])
    if node["class"] == "WINDOW":
        _known(node["function_name"], FUNCTIONS)
    elif node["class"] == "FUNCTION":
        _called(node)


def _called(node: dict[str, Any]) -> None:
    name = fold(node["function_name"])
    if not (node.get("is_operator") and not any(letter.isalnum() for letter in name)):
        _known(name, FUNCTIONS)
    given = [each["expression"] for each in node.get("arguments", [])]
    if check := _BOUNDED.get(name):
        check(given)
    if name in _INNER:
        _known(str(_literal(given[1]) if len(given) > 1 else None), AGGREGATES)


def _padded(given: list[dict[str, Any]]) -> None:
    length = _literal(given[1]) if len(given) > 1 else None
    if length is None or not length.isdecimal() or int(length) > PAD_MAX:
        raise QueryRefused(f"a text is padded to a number here, at most {PAD_MAX:,}.")


def _formatted(given: list[dict[str, Any]]) -> None:
    form = _literal(given[0]) if given else None
    if form is None or _WIDE.search(form):
        raise QueryRefused("a format is written out here, with widths below 1,000.")


def _literal(node: dict[str, Any]) -> str | None:
    literal = node.get("literal") if node.get("class") == "CONSTANT" else None
    return literal.get("text") if isinstance(literal, dict) else None


_BOUNDED: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "lpad": _padded, "rpad": _padded, "printf": _formatted, "format": _formatted,
}  # fmt: skip
_INNER = frozenset({"list_aggregate", "list_aggr", "array_aggregate", "array_aggr", "aggregate"})
"""They call the aggregate that their second argument names."""


def _known(name: str, known: frozenset[str]) -> None:
    if fold(name) not in known:
        hint = "FROM range(…) gives the numbers as rows." if fold(name) in TABLE_FUNCTIONS else ""
        raise QueryRefused(f"the function {name[:60]} is not allowed here.", hint)


def _not_allowed(kind: object) -> QueryRefused:
    words = str(kind).removesuffix("_NODE").removesuffix("_QUERY").replace("_", " ")
    return QueryRefused(f"{words} is not allowed here.", _INSTEAD.get(str(kind), ""))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


# ---- what sqlglot sees -------------------------------------------------------------------------------------------


def _agrees(text: str, tables: Counter[str]) -> None:
    """Raises QueryRefused when sqlglot does not see one query that writes nothing and reads from the same names."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    writes = (
        exp.DDL, exp.DML, exp.Command, exp.Set, exp.Pragma, exp.Copy, exp.Attach, exp.Detach, exp.Into, exp.Use,
        exp.Describe, exp.Lock, exp.Transaction, exp.Alter, exp.Drop, exp.Summarize, exp.Show,
    )  # fmt: skip
    queries = (exp.Query, exp.From, exp.Values)
    try:
        trees = [tree for tree in sqlglot.parse(text, read="duckdb") if not isinstance(tree, exp.Semicolon | None)]
    except SqlglotError:
        raise QueryRefused("the SQL cannot be checked: two parsers do not agree on it.", "Write it plainly.") from None
    if len(trees) != 1 or not isinstance(trees[0], queries):
        raise QueryRefused("only SELECT is allowed here: two parsers do not agree on it.", "Write it plainly.")
    for node in trees[0].walk():
        if isinstance(node, writes) and not isinstance(node, exp.Query):
            raise QueryRefused(f"{node.key.upper()} is not allowed here.", "The warehouse is read-only for questions.")
    if tables != Counter(_read(trees[0].find_all(exp.Table))):
        raise QueryRefused("the SQL cannot be checked: two parsers read different tables in it.", "Write it plainly.")


def _read(tables: Iterator[Any]) -> Iterator[str]:
    """Names that are read from; functions are none."""
    for table in tables:
        if isinstance(table.this, str) or table.name:
            yield fold(table.name)
