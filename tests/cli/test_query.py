"""A person hands in long questions at a terminal and looks at them later."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.query.test_ticket import DIGITS, ENDLESS
from tests.surface.page_service import TOKEN, serve

from cdesk import cli
from cdesk.cli.client import Client, ServiceRecord

SQL = f"SELECT d AS digit FROM {DIGITS} AS d(d) ORDER BY d"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[int]:
    home = tmp_path_factory.mktemp("query")
    deployed(home / "warehouse")
    with serve(home) as served:
        yield urlsplit(served.url).port or 0


class Person:
    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def types(self, *words: str) -> tuple[int, str, str]:
        code = cli.main(["query", *words])
        out, error = self._captured.readouterr()
        return code, out, error

    def asks(self, *words: str) -> Any:
        code, out, error = self.types(*words, "--json")
        assert code == 0, error
        return json.loads(out)


@pytest.fixture
def person(port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    monkeypatch.setattr("cdesk.cli.query.connect", lambda home: Client(ServiceRecord(0, port, ""), TOKEN))
    return Person(capsys)


def test_a_question_is_seen_through(person: Person) -> None:
    code, out, _ = person.types("submit", SQL, "--title", "Digits", "--wait")
    id_ = out.partition(":")[0]
    assert code == 0 and ": done, 10 rows in art_" in out and "cite cdesk:q_" in out
    assert person.types("status", id_) == (0, out, "")
    code, out, _ = person.types("rows", id_, "--limit", "4")
    assert code == 0 and "digit" in out and "rows 1 to 4 of 10; the next: --cursor " in out
    page = person.asks("rows", id_, "--limit", "4", "--cursor", out.rsplit("--cursor ", 1)[1].split()[0])
    assert page["rows"] == [[4], [5], [6], [7]]
    assert "Digits" in person.types("list")[1] and person.asks("list")["queries"][0]["ticket"] == id_


def test_a_question_comes_from_standard_input(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SQL))
    assert person.asks("submit", "-", "--wait")["row_count"] == 10


def test_one_is_cancelled(person: Person) -> None:
    id_ = person.asks("submit", ENDLESS)["ticket"]
    assert person.types("cancel", id_) == (0, f"{id_}: cancelled\n", "")
    code, _, error = person.types("rows", id_)
    assert code == 1 and error == f"cdesk query: {id_} is cancelled and has no rows.\n"
    assert person.types("status", id_)[0] == 1


def test_a_bar_shows_how_far_it_is(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal only, and nothing of it stays."""
    told = io.StringIO()
    monkeypatch.setattr(told, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", told)
    states = iter([{"state": "running", "progress": 0.5, "ticket": "tk_1_a"}, {"state": "done", "ticket": "tk_1_a"}])
    monkeypatch.setattr("cdesk.cli.query.AGAIN_SECONDS", 0)
    from cdesk.cli import query

    class Told:
        def get(self, path: str) -> Any:
            assert path == "/v1/queries/tk_1_a"
            return next(states)

    first: Any = {"state": "queued", "progress": None, "ticket": "tk_1_a"}
    assert query._seen_through(Told(), first)["state"] == "done"  # type: ignore[arg-type]
    assert told.getvalue() == f"\r\x1b[K{'░' * 24} queued\r\x1b[K{'█' * 12}{'░' * 12} running, 50%\r\x1b[K"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("submit", "SELECT nope", "--wait"), 1, "failed: "),
        (("status", "tk_0_0"), 2, "cdesk query: there is no ticket 'tk_0_0'. Tickets are kept 24 hours"),
        (("rows", "a b?c#d"), 2, "cdesk query: there is no ticket 'a b?c#d'."),
    ],
)
def test_what_goes_wrong_is_one_line(person: Person, words: tuple[str, ...], code: int, said: str) -> None:
    found, out, error = person.types(*words)
    assert found == code and said in out + error and (out + error).count("\n") == 1


def test_without_the_service_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDESK_HOME", str(tmp_path))
    assert Person(capsys).types("list") == (
        1, "", "cdesk query: long questions are answered by the service, and it is not running. Start it: `cdesk up`.\n",
    )  # fmt: skip
