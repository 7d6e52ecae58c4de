"""Makes a task's Snowflake SQL into what the embedded engine executes, and lets nothing else through.

Rows that a statement writes into a table with change streams get their commit's number: `_seq`, and `_first_seq` when
they are new. On CLAUDE_STREAM_V2 they do not: what tasks derive there (activity_occurrence, activity_repeated_at) is no
news to anybody, so tasks may only UPDATE it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from sqlglot import exp

from cdesk.refresh.task import Task
from cdesk.sql.dialect import Node, UnsupportedSQL, to_duckdb
from cdesk.warehouse.warehouse import ATOMS, STREAM

PARAMETERS = ("now",)
_SEQ = "seq"
_DML = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


@dataclass(frozen=True, slots=True)
class Statement:
    """table: what it writes · binds: names of the values it wants"""

    sql: str
    table: str
    binds: frozenset[str]


@cache
def compiled(task: Task, sql: str | None = None) -> tuple[Statement, ...]:
    """Of the whole task, or of the one piece. Raises UnsupportedSQL, with the number of the statement or its text."""
    found: list[Statement] = []

    def prepare(tree: Node) -> Node:
        number = len(found) + 1
        try:
            found.append(Statement("", _checked(tree, task), _binds(tree)))
            return stamped(tree)
        except UnsupportedSQL as error:
            raise UnsupportedSQL(f"statement {number}: {error.message}", error.hint) from None

    texts = to_duckdb(task.sql if sql is None else sql, prepare)
    return tuple(
        Statement(text, one.table, one.binds | ({_SEQ} if re.search(rf"\${_SEQ}\b", text) else set()))
        for text, one in zip(texts, found, strict=True)
    )


def stamped(tree: Node) -> Node:
    """The statement with the commit's number for the rows it writes into a table with change streams."""
    if _target(tree) == ATOMS:
        if isinstance(tree, exp.Insert):
            _stamp_insert(tree)
        elif isinstance(tree, exp.Update):
            tree.append("expressions", _set_seq())
        elif isinstance(tree, exp.Merge):
            for action in tree.find_all(exp.Update, exp.Insert):
                _stamp_action(action)
    return tree


def _checked(tree: Node, task: Task) -> str:
    if not isinstance(tree, _DML):
        raise UnsupportedSQL("a task is made of INSERT, UPDATE, DELETE and MERGE.")
    table = _target(tree)
    if table not in (*task.writes, *task.scratch):
        raise UnsupportedSQL(f"it writes {table}, which neither `writes:` nor `scratch:` names.")
    if table == STREAM and not _only_updates(tree):
        raise UnsupportedSQL(f"tasks only change rows of {STREAM}.", "Facts come in through the queue.")
    if unknown := _binds(tree) - set(PARAMETERS):
        raise UnsupportedSQL(f"it binds :{min(unknown)}.", "Only :now is given to tasks.")
    return table


def _target(tree: Node) -> str:
    table = tree.this.find(exp.Table) if tree.this else None
    return table.name.upper() if table else ""


def _only_updates(tree: Node) -> bool:
    if isinstance(tree, exp.Merge):
        return all(isinstance(when.args["then"], exp.Update) for when in tree.find_all(exp.When))
    return isinstance(tree, exp.Update)


def _binds(tree: Node) -> frozenset[str]:
    return frozenset(str(node.this or "?") for node in tree.find_all(exp.Placeholder))


def _stamp_insert(tree: Node) -> None:
    if not isinstance(tree.this, exp.Schema):
        raise UnsupportedSQL(f"name the columns: INSERT INTO {ATOMS} (…).")
    rows = exp.Subquery(this=_query(tree), alias=exp.TableAlias(this=exp.to_identifier("_told")))
    tree.this.expressions.extend(exp.to_identifier(name) for name in ("_seq", "_first_seq"))
    tree.set("expression", exp.select(exp.Star(), _number(), _number()).from_(rows))


def _query(tree: Node) -> Node:
    """What is inserted, as a query; common table expressions before INSERT's SELECT stay with it."""
    given: Node = tree.args["expression"]
    query = exp.select("*").from_(given) if isinstance(given, exp.Values) else given
    if with_ := tree.args.get("with_"):
        tree.set("with_", None)
        query.set("with_", with_)
    return query


def _stamp_action(action: Node) -> None:
    """WHEN MATCHED THEN UPDATE SET …, WHEN NOT MATCHED THEN INSERT (…) VALUES (…)."""
    if isinstance(action, exp.Update):
        action.expressions.append(_set_seq())
        return
    if action.this is None or not action.this.expressions:
        raise UnsupportedSQL(f"name the columns: WHEN NOT MATCHED THEN INSERT (…), into {ATOMS}.")
    action.this.expressions.extend(exp.column(name) for name in ("_seq", "_first_seq"))
    action.args["expression"].expressions.extend((_number(), _number()))


def _set_seq() -> Node:
    return exp.EQ(this=exp.column("_seq"), expression=_number())


def _number() -> Node:
    return exp.Placeholder(this=_SEQ)
