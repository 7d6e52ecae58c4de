"""The official conformance suite finds nothing wrong with the service as it ships, in either era."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk
from tests.mcp import suite

REACHED = {"2025-11-25": 84, "2026-07-28": 197}
"""Checks that succeed; the requirement sets are frozen, and the suite's version is too."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that `cdesk up --conformance-fixtures` says."""
    folder = tmp_path_factory.mktemp("conformance")
    (folder / "claude").mkdir()
    blank.put(folder / "home" / "warehouse")
    cdesk = Cdesk(folder / "home", folder / "claude")
    said = cdesk.text("up", "--detach", "--port", "0", "--conformance-fixtures")
    found = re.search(r"http://127\.0\.0\.1:\d+/mcp/\w+", said)
    assert found is not None, said
    yield found[0]
    cdesk.down()


@pytest.mark.slow
@pytest.mark.parametrize("revision", REACHED)
def test_the_suite_finds_nothing_wrong(url: str, tmp_path: Path, revision: str) -> None:
    """Every check of a revision, those that the suite runs without scoring included."""
    found = suite.run(url, revision, tmp_path)
    assert not found.failures, "\n".join(found.failures)
    assert found.statuses["SUCCESS"] == REACHED[revision], found.statuses


def test_fixtures_stand_beside_our_tools(url: str) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    listed = httpx.post(url, json=asked, trust_env=False).json()["result"]["tools"]
    assert {"get_context", "test_simple_text"} <= {tool["name"] for tool in listed}


@pytest.mark.parametrize("wrong", ["/mcp", "/mcp/", "/mcp/0", "key/more", "key/../../v1/status"])
def test_no_other_address_lets_anybody_in(url: str, wrong: str) -> None:
    """Without a token only the suite's own address does, and to nothing but `/mcp`."""
    origin, key = url.rsplit("/mcp/", 1)
    asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = httpx.post(origin + wrong.replace("key", f"/mcp/{key}"), json=asked, trust_env=False)
    assert answer.status_code == 401
    assert httpx.post(url, json=asked, trust_env=False, headers={"Origin": "http://evil.example"}).status_code == 403


def test_without_the_switch_there_are_no_fixtures(cdesk: Cdesk) -> None:
    """Nor in the help of `cdesk up`."""
    assert "conformance" not in cdesk.text("up", "--help")
