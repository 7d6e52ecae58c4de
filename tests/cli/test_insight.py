"""A person records, finds, explains, corrects and silences insights, with the service running or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.cli.test_task import Person
from tests.surface.page_service import TOKEN, Served, serve

from cdesk.cli.client import Client, ServiceRecord


@pytest.fixture(params=["service", "files"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives what lets everything that waits come in."""
    monkeypatch.setenv("CDESK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    if request.param == "files":
        yield lambda: None
        return
    with serve(tmp_path / "home") as served:
        port = urlsplit(served.url).port or 0
        monkeypatch.setattr("cdesk.cli.insight.connect", lambda home: Client(ServiceRecord(0, port, ""), TOKEN))
        yield lambda: _settle(served)


def _settle(served: Served) -> None:
    served.app.uploader.drain()
    served.app.tasks.run_pending()


@pytest.fixture
def person(home: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(capsys)


def test_an_insight_is_recorded_found_and_explained(person: Person, home: Callable[[], None]) -> None:
    """Its id is known at once."""
    assert "Nothing is known yet" in person.types("insight", "list")[1]
    id_ = person.asks("insight", "record", "tests", "command", "Tests run with make ci.", "--value", "make ci",
                      "--confidence", "0.8", "--project", "/p", "--evidence", "a1")["id"]  # fmt: skip
    home()
    [found] = person.asks("insight", "list", "CI")["insights"]
    assert (found["id"], found["value"], found["confidence"], found["author"], found["project_path"]) == (
        id_, "make ci", 0.8, "person", "/p")  # fmt: skip
    assert person.asks("insight", "list", "--subject", "build")["insights"] == []
    shown = person.types("insight", "show", id_[:8])[1]
    assert "Tests run with make ci." in shown and "1 activities it names are not here: a1" in shown
    assert "80%" in person.types("insight", "list")[1]
    assert person.asks("insight", "show", id_)["missing"] == ["a1"]


def test_an_insight_is_silenced_restored_and_corrected(person: Person, home: Callable[[], None]) -> None:
    """What is silenced is listed no more; a correction takes its place."""
    id_ = person.asks("insight", "record", "tests", "seconds", "Tests take 12 s.", "--value", "12")["id"]
    home()
    assert person.types("insight", "silence", id_[:8], "--reason", "noise")[0] == 0
    home()
    assert person.asks("insight", "list")["insights"] == []
    assert "noise" in person.types("insight", "show", id_)[1]
    assert person.types("insight", "restore", id_)[1].startswith("Restored: ")
    home()
    new = person.asks("insight", "correct", id_[:8], "Tests take 9 s.", "--value", "9")["id"]
    home()
    assert [(one["id"], one["value"]) for one in person.asks("insight", "list")["insights"]] == [(new, 9)]
    assert "superseded by" in person.types("insight", "show", id_)[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("record", " ", "command", "x"), "subject is empty"),
        (("record", "tests", "command", "x", "--confidence", "7"), "confidence is 7"),
        (("record", "tests", "command", "x", "--valid-until", "soon"), "'soon' is not a time"),
        (("show", "nothing"), "there is no insight 'nothing'"),
        (("silence", "nothing"), "there is no insight 'nothing'"),
        (("correct", "nothing", "x"), "there is no insight 'nothing'"),
        (("list", "--since", "soon"), "'soon' is not a time"),
    ],
)
def test_a_mistake_is_one_line(person: Person, words: tuple[str, ...], said: str) -> None:
    """With what would be right, and exit code 2."""
    code, _, error = person.types("insight", *words)
    assert code == 2 and said in error and error.count("\n") == 1


def test_what_consent_keeps_out_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And that is said."""
    monkeypatch.setenv("CDESK_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('[consent]\nexclude_projects = ["/secret*"]\n')
    code, _, error = Person(capsys).types("insight", "record", "a", "b", "c", "--project", "/secret-1")
    assert code == 2 and "[consent]" in error
