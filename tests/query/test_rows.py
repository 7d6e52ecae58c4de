"""What the page says from the rollup, against what it says from the stream alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.refresh.history import START, TIMES, Command, History, commands
from tests.surface.page_service import held

from cdesk.query.page import Pages
from cdesk.query.rows import HOUR, hour_of, merged
from cdesk.query.text import text
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.warehouse import deploy
from cdesk.warehouse.warehouse import Answer, Warehouse

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
TASK = "roll_up_activity"
NOW = datetime(2026, 3, 2, 13, 47, 12, 500, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")
ASKED = st.tuples(st.sampled_from((1, 7, 30, 90)), st.sampled_from(ZONES), st.sampled_from(("model", "project")))


class Unrolled:
    """The same warehouse, as if no task had ever run."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        if sql == text("page_rows_offset"):
            return Answer((), (), [], "")
        return self._warehouse.query(sql, parameters, rows_max=rows_max)


def said(pages: Pages, days: int, zone: str, by: Any) -> Any:
    """Everything that is asked for, as data; sums of money to a billionth."""
    found: list[Any] = [
        pages.overview(days, by, zone), pages.projects(days, zone), pages.recent(), pages.sessions(1), pages.sessions(9, project="/p"),
        pages.timeline("s1"), pages.timeline("s2"),
    ]  # fmt: skip
    if days <= 7:
        found.append(pages.overview(days, by, zone, "hour"))
    first = pages.sessions(1)
    found.append(pages.sessions(1, after=first.next) if first.next else None)
    return _rounded(msgspec.to_builtins(found))


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 9) + 0.0
        case dict():
            return {name: _rounded(inner) for name, inner in value.items()}
        case list():
            return [_rounded(inner) for inner in value]
        case _:
            return value


@settings(deadline=None, max_examples=5 * TIMES, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(commands(), max_size=6), min_size=2, max_size=3), ASKED)
def test_the_rollup_and_what_came_after_it_say_what_the_stream_says(
    opened_history: History, runs: list[list[Command]], asked: tuple[int, str, Any]
) -> None:
    """After any history, with the last commands not rolled up yet: rows that came, changed, moved in time and went."""
    opened = opened_history
    runner = begun(opened)
    for number, run in enumerate(runs):
        if number == len(runs) - 1:
            runner.run(TASK)
        for command in run:
            opened.do(command)
    clock = held(NOW)

    def counted() -> list[tuple[Any, ...]]:
        """However long it takes: the page waits a second for it."""
        return opened.warehouse.query(text("completeness")).rows

    rolled = Pages(opened.warehouse, clock=clock, completeness=counted)
    direct = Pages(cast(Warehouse, Unrolled(opened.warehouse)), clock=clock, completeness=counted)
    try:
        assert said(rolled, *asked) == said(direct, *asked)
        runner.run(TASK)
        assert said(rolled, *asked) == said(direct, *asked)
    finally:
        rolled.close()
        direct.close()


def begun(history: History) -> Runner:
    """The task as the service runs it, and nothing in the warehouse."""
    history.forget()
    history.rows("DELETE FROM _STREAM_OFFSETS")
    history.warehouse.changes.reload()
    return Runner(history.warehouse, [task for task in load() if task.name == TASK])


def test_before_the_task_ran_everything_comes_from_the_stream(opened_history: History) -> None:
    """Also where there is nothing."""
    begun(opened_history)
    pages = Pages(opened_history.warehouse, clock=held(NOW))
    try:
        assert pages.sessions(5).sessions == []
        assert pages.overview(7, "model", "UTC").activities == 0
    finally:
        pages.close()


def test_hours_that_touch_are_one_span() -> None:
    """In order, whatever order they come in."""
    hour = hour_of(START.replace(tzinfo=None))
    later = hour + timedelta(hours=5)
    assert merged([(later, later + HOUR), (hour + HOUR, hour + 2 * HOUR), (hour, hour + HOUR)]) == [
        (hour, hour + 2 * HOUR), (later, later + HOUR),
    ]  # fmt: skip


def test_rows_as_they_are_and_as_they_were_are_counted_by_one_rule() -> None:
    """The two views differ in their names, their tables and the number of the commit, in nothing else."""
    text = (deploy.SCHEMA_FOLDER / "15_rollup_rows_views.sql").read_text()
    now, before = re.findall(r"CREATE OR REPLACE VIEW \w+ COPY GRANTS AS\n(.*?);", text, re.DOTALL)
    assert now.replace("    _seq,", "    _replaced_seq,").replace("CLAUDE_STREAM_V2", "_STREAM_BEFORE") == before
