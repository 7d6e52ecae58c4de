"""`cdesk ask`, `explain` and `template`, as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cdesk.app import App
from cdesk.cli import ask, asked, explain, main, template


@pytest.fixture
def home(sampled: App, monkeypatch: pytest.MonkeyPatch) -> App:
    """The commands find the sample, opened already."""

    @contextmanager
    def desk() -> Iterator[asked.Desk]:
        yield asked._House(sampled)

    for room in (ask, explain, template):
        monkeypatch.setattr(room, "desk", desk)
    return sampled


def test_an_answer_ends_with_its_link(home: App, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows first; asked again it says that it was recorded; JSON has it all."""
    assert main(["ask", "spend_by_model", "--param", "days=30", "--show-sql"]) == 0
    first = capsys.readouterr().out
    assert "claude-opus-5-5" in first and "SUM(tokens_shown)" in first and "Recorded" not in first
    assert main(["ask", "spend_by_model", "--param", "days=30"]) == 0
    assert "Recorded at" in capsys.readouterr().out
    assert main(["ask", "spend_by_model", "--param", "days=30", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["is_recorded"] and answer["link"] in first
    assert main(["explain", answer["link"], "--row", "1", "--column", "responses"]) == 0
    said = capsys.readouterr().out
    assert 'parameters       {"days":30}' in said and f"Behind it are {answer['rows'][0][3]} activities" in said


def test_questions_are_listed_and_shown(home: App, capsys: pytest.CaptureFixture[str]) -> None:
    """With what they take; in a role, those that it may ask."""
    assert main(["ask"]) == 0
    assert "spend_by_day" in capsys.readouterr().out
    assert main(["ask", "--as", "auditor", "--json"]) == 0
    assert "recent_activity" not in {one["name"] for one in json.loads(capsys.readouterr().out)["questions"]}
    assert main(["template", "list"]) == 0 and main(["template", "show", "cost_by"]) == 0
    shown = capsys.readouterr().out
    assert "takes by: one of day, hour" in shown and "FLATTEN" in shown


def test_decisions_are_told(home: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "block", "adoption", "--reason", "not now"]) == 0
    assert main(["ask", "adoption"]) == 2
    told = capsys.readouterr()
    assert "adoption is blocked." in told.out and "blocked: not now" in told.err
    for act in ("review", "activate"):
        assert main(["template", act, "adoption"]) == 0
    assert main(["ask", "adoption"]) == 0
    assert main(["template", "show", "adoption"]) == 0
    assert "blocked by robin: not now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["ask", "cost_bi"], "Did you mean 'cost_by'"), (["ask", "cost_by", "--param", "by"], "--param NAME=VALUE"),
        (["ask", "cost_by", "--param", "by=x"], "one of day"), (["ask", "cost_by", "--param", "bye=day"], "It takes: days, by"),
        (["ask", "cost_by", "--param", "days=many"], "a whole number from 1 to 366"),
        (["explain", "cdesk:q_none"], "nothing stands behind"), (["explain", "nothing"], "is no citation"),
        (["explain", "cdesk:q_1", "--column", "x"], "--column needs --row"), (["template", "show"], "say which question"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_a_remedy(
    home: App, capsys: pytest.CaptureFixture[str], line: list[str], said: str
) -> None:
    assert main(line) == 2
    assert said in (told := capsys.readouterr().err) and told.count("\n") == 1
