"""Whatever a parameter says, it is a value: every payload of the corpus, as every parameter of every question.

Three looks at the same thing. For every payload, question and parameter: what reaches the engine is the question's own
text, and the payload is one of its values, unchanged; or it was refused before (for some of them along the whole way that
an asked question goes). On the engine itself: the answer is that
of a value that nothing bears, and no table has changed; for every payload in one question, and for some of them in every
parameter of every question (all of them with CDESK_EVERY_PAYLOAD=1, some minutes). And the same harness against
a way of asking that writes values into the text, where it must find leaks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.shared_data import shared_data

from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON, Activity
from cdesk.clock import Clock
from cdesk.errors import UsageError, WarehouseError
from cdesk.query.ask import Asker, AskRequest, bound
from cdesk.query.provenance import DataVersions
from cdesk.query.questions import Questions
from cdesk.query.template import LIST_MAX, Parameter, Template, compiled, load
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import Answer

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
NOBODYS = "a value that nothing bears"
EVERY = 193
"""Of the payloads, each so-and-so-manieth is tried on the engine in every place."""
TEMPLATES = load()
PLACES = [(each, parameter) for each in TEMPLATES for parameter in each.parameters]
TEXTS = [(each, parameter) for each, parameter in PLACES if parameter.type in ("text", "folder", "list")]


@pytest.fixture(scope="module")
def payloads() -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(shared_data("sqli").rglob("Intruder/*")):
        for line in path.read_text("utf-8", "replace").splitlines():
            found.setdefault(line)
    found.pop("", None)
    assert len(found) > 1_000
    return list(found)


@dataclass
class Told:
    """What reached the engine."""

    sql: str
    values: list[Any]


class Desk:
    """A small warehouse; with `is_deaf`, what would be run is noted instead."""

    def __init__(self, folder: Path) -> None:
        clock = Clock(now_ns=lambda: int(NOW.timestamp()) * 1_000_000_000)
        self.warehouse = DuckDBWarehouse(folder, clock=clock)
        self.warehouse.merge([
            Activity(
                activity_id=activity_id("given", tool), ts=NOW - timedelta(minutes=5), activity="tool_called",
                customer="ada", source="hook", session_id="s1",
                feature_json={"tool_name": tool, "success": tool != "Edit", "project_path": "/work/alpha", "error": "no"},
            )
            for tool in ("Bash", "Edit")
        ])  # fmt: skip
        self.told: list[Told] = []
        self.questions = Questions(self.warehouse, folder / "templates", clock=clock)
        versions = DataVersions(self.warehouse, self.warehouse.changes)
        self.asker = Asker(self.warehouse, self.questions, versions, lambda: "ada", clock=clock)

    def tables(self) -> Any:
        """What there is, and how much of it; the log of questions and answers grows by itself."""
        names = [row[0] for row in self.warehouse.query(
            "SELECT table_name FROM duckdb_tables() WHERE table_name NOT IN ('QUERY_HISTORY', 'QUESTION_ANSWERS') ORDER BY 1"
        ).rows]  # fmt: skip
        counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM \"{name}\"" for name in names)
        return self.warehouse.query(f"SELECT * FROM ({counts}) ORDER BY 1").rows

    def run(self, template: Template, parameters: dict[str, JSON]) -> list[Any]:
        """On the engine, without what is recorded of it."""
        wanted = self.asker._wanted(template, AskRequest(parameters=parameters))
        given = [wanted.bound[name] for name in template.ask.names]
        return self.warehouse.query(compiled(template.ask), given).rows


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[Desk]:
    held = Desk(deployed(tmp_path_factory.mktemp("injected") / "warehouse"))
    yield held
    held.warehouse.close()


def as_given(parameter: Parameter, text: str) -> JSON:
    return [text] if parameter.type == "list" else text


# -- what reaches the engine ---------------------------------------------------------------------------------------


def test_every_payload_is_bound_as_it_is_or_refused(desk: Desk, payloads: list[str]) -> None:
    """In every parameter of every question; every other value stays as it was."""
    taken = refused = 0
    for template, parameter in PLACES:
        usual = bound(template, template.values({}), NOW)
        for payload in payloads:
            try:
                values = template.values({parameter.name: as_given(parameter, payload)})
            except UsageError:
                refused += 1
                continue
            taken += 1
            assert bound(template, values, NOW) == {**usual, parameter.name: as_bound(parameter, payload)}
    assert taken > len(TEXTS) * 1_000 and refused >= (len(PLACES) - len(TEXTS)) * 1_000


def test_what_reaches_the_engine_is_the_questions_own_text(
    desk: Desk, payloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along the whole way."""
    told: list[Told] = []

    def noted(sql: str, values: Sequence[Any] = (), **more: Any) -> Answer:
        told.append(Told(sql, list(values)))
        raise WarehouseError("enough")

    monkeypatch.setattr(desk.warehouse, "ask", noted)
    for template, parameter in TEXTS:
        for payload in payloads[::EVERY]:
            given = as_given(parameter, payload)
            with pytest.raises((WarehouseError, UsageError)) as caught:
                desk.asker.ask(template.name, AskRequest(parameters={parameter.name: given}, fresh=True))
            if caught.type is UsageError:
                continue
            reached = told.pop()
            assert reached.sql == compiled(template.ask)
            assert reached.values[template.ask.names.index(parameter.name)] == as_bound(parameter, payload)


def as_bound(parameter: Parameter, payload: str) -> str:
    if parameter.type == "list":
        return msgspec.json.encode([payload]).decode()
    return (payload.rstrip("/") or "/") if parameter.type == "folder" else payload


# -- what the engine makes of it -----------------------------------------------------------------------------------


def leaks(
    run: Callable[[Template, dict[str, JSON]], Any],
    places: Sequence[tuple[Template, Parameter]],
    payloads: Sequence[str],
) -> list[str]:
    """Payloads that did something else than a value would, and what."""
    found = []
    for template, parameter in places:
        nothing = run(template, {parameter.name: as_given(parameter, NOBODYS)})
        for payload in payloads:
            try:
                answer = run(template, {parameter.name: as_given(parameter, payload)})
            except UsageError:
                continue
            except WarehouseError as error:
                found.append(f"{template.name} {parameter.name} {payload!r}: {error}")
                continue
            if answer != nothing:
                found.append(f"{template.name} {parameter.name} {payload!r}: {answer}")
    return found


def test_on_the_engine_a_payload_is_a_value_that_nothing_bears(desk: Desk, payloads: list[str]) -> None:
    """Every one in one question, some in every parameter of every question; and everything is as it was."""
    before = desk.tables()
    [lists] = [each for each in TEMPLATES if each.name == "recent_activity"]
    for start in range(0, len(payloads), LIST_MAX):
        members = [each for each in payloads[start : start + LIST_MAX] if len(each) <= 100]
        assert desk.run(lists, {"activities": [*members]}) == []
        assert len(desk.run(lists, {"activities": [*members[1:], "tool_called"]})) == 2
    chosen = payloads if os.environ.get("CDESK_EVERY_PAYLOAD") else payloads[::EVERY]
    assert leaks(desk.run, TEXTS, chosen) == []
    assert desk.tables() == before


def test_the_harness_finds_leaks_where_values_are_written_into_the_text(desk: Desk, payloads: list[str]) -> None:
    """So that it can fail: with quotes around, and nothing more."""

    def naive(template: Template, parameters: dict[str, JSON]) -> Any:
        [value] = parameters.values()
        return desk.warehouse.query(f"SELECT activity, ts FROM CLAUDE_STREAM_V2 WHERE customer = '{value}'").rows

    [place] = [(each, p) for each, p in TEXTS if (each.name, p.name) == ("recent_activity", "customer")]
    found = leaks(naive, [place], [each for each in payloads if ";" not in each][::4])
    assert len(found) > 50, "texts that are no SQL any more, or another question"
    assert sum("tool_called" in each for each in found) > 2, "rows of people that were not named"
