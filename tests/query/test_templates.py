"""The bundled questions: each is what its header says, in Snowflake's grammar, with an answer on the sample."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlfluff.core import Linter

from cdesk.app import App
from cdesk.query.ask import Answered, AskRequest
from cdesk.query.template import FOLDER, Template, compiled, load, parse

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ask.md").read_text()
TEMPLATES = load()
NAMES = [each.name for each in TEMPLATES]
WANTED = {
    "spend_by_day", "spend_by_model", "spend_by_project", "tool_usage", "slowest_tools", "recent_sessions", "failures_now",
    "executive_summary", "adoption", "errors", "projects", "cost_by", "cost_by_tool", "session_timeline", "recent_activity",
    "activity_counts", "insights_by_subject", "atom_provenance", "failing_tools", "cache_efficiency", "subagents",
    "mcp_servers", "permission_decisions", "edit_acceptance", "cost_per_commit", "answers_traced",
}  # fmt: skip
_IS: dict[str, Callable[[Any], bool]] = {
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "text": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "day": lambda v: len(v) == 10 and bool(datetime.fromisoformat(v)),
    "time": lambda v: v.endswith("Z") and bool(datetime.fromisoformat(v)),
    "any": lambda v: True,
}
COUNTED = {
    "tool_usage": ("calls", "failed"), "slowest_tools": ("calls",), "failing_tools": ("failed",), "failures_now": ("times",),
    "errors": ("failures",), "subagents": ("runs",), "mcp_servers": ("calls", "failed"), "permission_decisions": ("calls",),
    "edit_acceptance": ("edits", "accepted", "rejected", "failed"), "cost_by_tool": ("calls",),
    "recent_sessions": ("prompts", "tool_calls", "failed_calls"),
}  # fmt: skip
"""Columns that say how many activities there are; where hours are rolled up, the first hour is cut elsewhere."""


def test_every_question_of_the_readme_is_there() -> None:
    assert set(NAMES) >= WANTED
    assert all(each.is_bundled for each in TEMPLATES)


def test_every_question_is_documented_with_what_it_takes() -> None:
    """docs/ask.md, in their order."""
    section = PAGE.split("## The questions\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", section, flags=re.M)
    assert rows == [
        (each.name, each.title, ", ".join(f"`{one.name}`" for one in each.parameters) or "–") for each in TEMPLATES
    ]


def test_the_example_in_the_docs_is_a_question() -> None:
    """And its SQL is portable."""
    text = PAGE.split("```sql\n", 1)[1].split("```", 1)[0]
    template = parse("long_commands", text, is_bundled=False)
    assert template.behind is not None and compiled(template.ask) and compiled(template.behind)


@cache
def linter() -> Linter:
    return Linter(dialect="snowflake")


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_snowflakes_grammar_takes_it(template: Template) -> None:
    """As it is written, with a value for each name."""
    parsed = linter().parse_string((FOLDER / f"{template.name}.sql").read_text())
    assert parsed.tree is not None
    assert [violation.desc() for violation in parsed.violations] == []
    assert [part.raw for part in parsed.tree.recursive_crawl("unparsable")] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_it_is_portable_and_binds_every_value(template: Template) -> None:
    """Each name is one number in what the engine is told, and nothing is written into the text."""
    for statement in filter(None, (template.ask, template.behind)):
        sql = compiled(statement)
        assert all(f"${number}" in sql for number in range(1, len(statement.names) + 1))
        assert "||" not in statement.text, "nothing is put together from pieces"


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_it_answers_on_the_sample_with_what_its_header_promises(sampled: App, template: Template) -> None:
    """Real rows, columns in order, each value of its type."""
    if template.name == "answers_traced":
        sampled.asker.ask("adoption", AskRequest(fresh=True))
        sampled.uploader.drain()
        sampled.tasks.run_pending()
    answer = ask(sampled, template)
    assert answer.rows, "the sample shows every part"
    assert [each.name for each in answer.columns] == [each.name for each in template.columns]
    for row in answer.rows:
        for value, column in zip(row, template.columns, strict=True):
            assert value is None or _IS[column.type](value), f"{column.name} is {column.type}, not {value!r}"
    for at, column in enumerate(template.columns):
        if template.name not in ("atom_provenance", "insights_by_subject") and column.type == "integer":
            assert any(row[at] is not None for row in answer.rows), f"{column.name} is never there"


@pytest.mark.parametrize("name", COUNTED)
def test_a_counting_cell_leads_to_so_many_activities(sampled: App, name: str) -> None:
    """As many as it says, each of them in the stream."""
    template = sampled.questions.template(name)
    answer = ask(sampled, template)
    for number, row in enumerate(answer.rows[:3], 1):
        for column in COUNTED[name]:
            said = dict(zip((each.name for each in answer.columns), row, strict=True))[column]
            found = sampled.explain(answer.link, number, column)
            assert found.cell is not None
            assert len(found.cell.activities) == said, (column, row)
    assert found.cell is not None
    there = sampled.warehouse.query(
        "SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE list_contains($1, activity_id::VARCHAR)", [found.cell.activities]
    )  # fmt: skip
    assert there.rows[0][0] == said


def test_what_is_summed_is_what_is_behind_it(sampled: App) -> None:
    """A model's cost is that of the answers its cell leads to."""
    answer = ask(sampled, sampled.questions.template("cost_by"), days=366, by="model")
    for number, row in enumerate(answer.rows, 1):
        cell = sampled.explain(answer.link, number, "cost_usd").cell
        assert cell is not None
        (cost, count), *_ = sampled.warehouse.query(
            "SELECT sum(revenue_impact), count(*) FROM CLAUDE_STREAM_V2 WHERE list_contains($1, activity_id::VARCHAR)",
            [cell.activities],
        ).rows
        assert (row[1], row[7]) == (pytest.approx(cost), count)


def ask(app: App, template: Template, **parameters: Any) -> Answered:
    wide = {"days": 30} if any(each.name == "days" for each in template.parameters) else {}
    wide |= {"hours": 720} if any(each.name == "hours" for each in template.parameters) else {}
    return app.asker.ask(template.name, AskRequest(parameters={**wide, **parameters}))
