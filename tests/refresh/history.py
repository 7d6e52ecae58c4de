"""Random histories of the stream on a real warehouse: what merges do, and what corrections will do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from hypothesis import strategies as st
from tests.refresh.changes import COLUMNS, Tasks

from cdesk.activity.model import Activity, Features, Source
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

START = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
OFFSETS_S = (0, 0.000001, 1, 2, 20, 45, 100, 4000, 90_000, -90_000)
NAMES = ("tool_called", "claude_responded", "user_asked", "mcp_called", "api_request_failed")
FACTS = 12
TIMES = int(os.environ.get("CDESK_EXAMPLES", "1"))
"""How many times as many histories are tried; `make chaos` tries more."""
KEPT = (
    "OCCURRENCE_STATE", "ACTIVITY_ROLLUP", "LATENCY_ROLLUP", "LINK_ROLLUP", "STATEMENT_ROLLUP", "METRICS_DUE",
    "INSIGHT_ATOMS", "CONTEXT_INPUTS", "INSIGHT_SAID", "SIGNAL", "SIGNAL_DUE", "QUERY_HISTORY",
)  # fmt: skip

Command: TypeAlias = tuple[str, Any]


@st.composite
def _activities(draw: st.DrawFn) -> Activity:
    number = draw(st.integers(1, FACTS))
    name = NAMES[number % len(NAMES)] if draw(st.integers(0, 9)) else draw(st.sampled_from(NAMES))
    source: Source = draw(st.sampled_from(("transcript", "hook", "otel")))
    also = draw(st.none() | st.integers(1, FACTS)) if name in ("claude_responded", "user_asked") else None
    return Activity(
        activity_id=str(UUID(int=number)), ts=START + timedelta(seconds=draw(st.sampled_from(OFFSETS_S))), activity=name,
        customer=draw(st.sampled_from(("ada", "bob"))), anonymous_customer_id=draw(st.sampled_from(("host_a", None))),
        session_id=draw(st.sampled_from(("s1", "s2", None))), source=source, feature_json=draw(_features(name)),
        revenue_impact=draw(st.sampled_from((None, None, 0.25, 0.1, 1e-6))), link=draw(st.sampled_from((None, None, "artifact://1", "artifact://2"))),
        also_id=None if also is None else str(UUID(int=also)),
    )  # fmt: skip


_VALUES: dict[str, tuple[Any, ...]] = {
    "project_path": (None, "/p", "/q"), "git_branch": (None, "main"),
    "tool_name": (None, "Bash", "Read"), "mcp_tool": (None, "y"), "success": (None, True, False, "maybe"),
    "latency_ms": (None, 7, 12.75, 1234, 98_765.4, -1, "fast", 1e13), "model": (None, "m1", "m2"),
    "total_tokens": (None, 0, 10, 300, "many"), "prompt_tokens": (None, 5, 2**40), "completion_tokens": (None, 7, "x"),
    "cache_creation_tokens": (None, 3), "cache_read_tokens": (None, 11), "cache_creation_5m_tokens": (None, 3),
    "is_counted": (None, True, False), "cost_usd": (None, 0.25, "free"), "total_latency_ms": (None, 900, 1500.5),
    "tool_use_id": (None, "t1"), "method": (None, "get_context"), "error": (None, "boom"), "error_type": (None, "exit"),
}  # fmt: skip
_OF: dict[str, tuple[str, ...]] = {
    "tool_called": ("project_path", "git_branch", "tool_name", "mcp_tool", "success", "latency_ms", "error", "error_type"),
    "claude_responded": ("project_path", "git_branch", "model", "total_tokens", "prompt_tokens", "completion_tokens", "cache_creation_tokens",
                         "cache_creation_5m_tokens", "cache_read_tokens", "is_counted", "cost_usd", "total_latency_ms"),
    "mcp_called": ("project_path", "success", "latency_ms", "tool_use_id", "method"),
    "user_asked": ("project_path", "git_branch"),
    "api_request_failed": ("project_path", "model", "error_type"),
}  # fmt: skip


def _features(name: str) -> st.SearchStrategy[Features]:
    return st.fixed_dictionaries({key: st.sampled_from(_VALUES[key]) for key in _OF[name]})


def commands() -> st.SearchStrategy[Command]:
    """merge: what sources tell · give, move, delete: corrections of one row"""
    number = st.integers(1, FACTS)
    return st.one_of(
        st.tuples(st.just("merge"), st.lists(_activities(), min_size=1, max_size=5)),
        st.tuples(st.just("merge"), st.lists(_activities(), min_size=1, max_size=5)),
        st.tuples(st.just("give"), st.tuples(number, st.sampled_from(("ada", "bob", "eve")))),
        st.tuples(st.just("move"), st.tuples(number, st.sampled_from(OFFSETS_S))),
        st.tuples(st.just("delete"), number),
    )


class History:
    """A warehouse that is written to, and its tasks."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = DuckDBWarehouse(folder)
        self.warehouse.changes._is_followed = True  # by these tasks
        self._connection = self.warehouse._connection
        self.tasks = Tasks(self._connection)

    def forget(self) -> None:
        """As new: opening a warehouse takes longer than a history."""
        for table in ("CLAUDE_STREAM_V2", "_STREAM_BEFORE", *KEPT):
            self._connection.execute(f"DELETE FROM {table}")
        self.warehouse._close_merger()
        self.tasks.forget()

    def close(self) -> None:
        self.warehouse.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def merge(self, activities: Sequence[Activity]) -> None:
        self.warehouse.merge(activities)

    def do(self, command: Command) -> None:
        match command:
            case ("merge", activities):
                self.merge(activities)
            case ("give", (number, customer)):
                self._correct(number, "UPDATE CLAUDE_STREAM_V2 SET customer = $value, _seq = $seq", customer)
            case ("move", (number, seconds)):
                at = (START + timedelta(seconds=seconds)).replace(tzinfo=None)
                self._correct(number, "UPDATE CLAUDE_STREAM_V2 SET ts = $value, _seq = $seq", at)
            case ("delete", number):
                self._correct(number, "DELETE FROM CLAUDE_STREAM_V2", None)

    def _correct(self, number: int, statement: str, value: Any) -> None:
        """As a merge does it: the row as it stood is kept, and the commit has the next number."""
        columns, id_ = ", ".join(COLUMNS), str(UUID(int=number))
        keep = f"INSERT INTO _STREAM_BEFORE (_replaced_seq, {columns}) SELECT $seq, {columns} FROM CLAUDE_STREAM_V2 WHERE activity_id = $id"
        with self.warehouse.commit() as seq:
            self._connection.execute(keep, {"seq": seq, "id": id_})
            is_deletion = value is None and statement.startswith("DELETE")
            values = {"id": id_} if is_deletion else {"id": id_, "value": value, "seq": seq}
            self._connection.execute(f"{statement} WHERE activity_id = $id", values)
