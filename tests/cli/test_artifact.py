"""A person keeps results, looks at them, takes them out as files, and lets them go; with the service running or not."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.surface.page_service import TOKEN, Served, serve

from cdesk import cli
from cdesk.cli.client import Client, ServiceRecord

SQL = "SELECT range AS number, '=1+' || range AS words FROM range(120)"


class Person:
    """Types commands and reads what comes."""

    def __init__(self, captured: pytest.CaptureFixture[str], served: Served | None) -> None:
        self._captured = captured
        self.served = served

    def types(self, *words: str) -> tuple[int, str, str]:
        code = cli.main(["artifact", *words])
        out, error = self._captured.readouterr()
        return code, out, error

    def asks(self, *words: str) -> Any:
        code, out, error = self.types(*words, "--json")
        assert code == 0, error
        return json.loads(out)


@pytest.fixture(params=["service", "files"])
def person(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    deployed: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Person]:
    """Somebody at a terminal of that home, while the service runs, and while it does not."""
    deployed(tmp_path / "home" / "warehouse")
    monkeypatch.setenv("CDESK_HOME", str(tmp_path / "home"))
    if request.param == "files":
        yield Person(capsys, None)
        return
    with serve(tmp_path / "home") as served:
        port = urlsplit(served.url).port or 0
        monkeypatch.setattr(
            "cdesk.cli.artifact.connect", lambda home, patience_s: Client(ServiceRecord(0, port, ""), TOKEN)
        )
        yield Person(capsys, served)


def test_the_life_of_an_artifact(person: Person, tmp_path: Path) -> None:
    """The same, through the service or without."""
    assert "No artifacts are kept" in person.types("list")[1]
    made = person.asks("make", "--sql", SQL, "--title", "Numbers", "--chart", "bar:words:number")
    id_ = made["artifact_id"]
    assert made["row_count"] == 120 and made["chart"] == {"kind": "bar", "x": "words", "y": "number", "series": None}
    assert [one["artifact_id"] for one in person.asks("list")["artifacts"]] == [id_]
    assert person.asks("list", "--query", made["query_id"])["artifacts"] and "Numbers" in person.types("list")[1]
    said = person.types("show", id_)[1]
    assert f"cdesk:{made['query_id']}" in said and "10 of 120 rows" in said and "=1+9" in said
    page = person.asks("rows", id_, "--limit", "100")
    last = person.asks("rows", id_, "--limit", "100", "--cursor", page["cursor"])
    assert (len(page["rows"]), last["offset"], len(last["rows"]), last["cursor"]) == (100, 100, 20, None)
    assert "--cursor" in person.types("rows", id_)[1]
    assert person.types("get", id_)[1].startswith("number,words\r\n0,'=1+0\r\n")
    file = tmp_path / "out.parquet"
    assert person.types("get", id_, "--format", "parquet", "--output", str(file))[0] == 0
    assert file.read_bytes()[:4] == b"PAR1" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert person.asks("pin", id_)["is_pinned"] and "is pinned" in person.types("rm", id_)[2]
    assert person.types("unpin", id_)[1] == f"{id_} is not pinned any more.\n"
    assert person.asks("hold", id_, "--reason", "matter 7")["is_held"] and "on hold" in person.types("list")[1]
    code, _, error = person.types("rm", id_)
    assert code == 2 and "legal hold" in error
    assert not person.asks("release", id_)["is_held"]
    assert person.types("rm", id_)[1] == f"{id_} is deleted.\n"
    assert person.asks("list") == {"artifacts": []}


def test_a_link_needs_the_service(person: Person) -> None:
    id_ = person.asks("make", "--sql", "SELECT 1 AS one")["artifact_id"]
    code, out, error = person.types("link", id_, "--format", "csv")
    if person.served is None:
        assert code == 1 and "cdesk up" in error
        return
    assert code == 0 and "Good until" in error
    assert httpx.get(out.strip()).text == "one\r\n1\r\n"


def test_what_is_wrong_is_one_line(person: Person) -> None:
    for words, said in (
        (("show", "art_nobody"), "no artifact 'art_nobody'"), (("rm", "x"), "no artifact 'x'"),
        (("make", "--sql", "DROP TABLE ARTIFACTS"), "SELECT"), (("rows", "x", "--limit", "0"), "limit"),
        (("get", "x", "--output", "/nowhere/at/all"), "cannot write"), (("hold", "x", "--reason", " "), "reason"),
    ):  # fmt: skip
        code, _, error = person.types(*words)
        assert code == 2 and said in error and error.count("\n") == 1, error


def test_explain_leads_to_the_artifact_and_back(person: Person) -> None:
    """The citation of the query names where its whole answer is; the artifact names its query."""
    if person.served is None:
        pytest.skip("explain is asked of the service")
    made = person.asks("make", "--sql", "SELECT 1 AS one", "--title", "One")
    ask = person.served.client.post
    query = ask("/v1/explain", json={"citation": f"cdesk:{made['query_id']}"}).json()
    assert query["said"]["artifacts"] == [f"artifact:{made['artifact_id']}"]
    artifact = ask("/v1/explain", json={"citation": f"artifact:{made['artifact_id']}"}).json()
    assert artifact["is_a"] == "artifact" and artifact["said"]["title"] == "One"
    assert artifact["comes_from"] == [f"cdesk:{made['query_id']}"]
