"""What leaves the catalog's shape, as a person meets it: with the service and without."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk

STRICT = '[drift]\ntool = "strict"\nmcp = "frozen"\n'


def told(activity: str, **features: Any) -> bytes:
    line = {"activity": activity, "ts": "2026-11-23T09:00:00Z", "customer": "ada", "feature_json": features}
    return json.dumps(line).encode() + b"\n"


CALL = told("tool_called", tool_use_id="t1", tool_name="Bash", mood="good")
MCP = told("mcp_called", method="ask", mood="good")


def _emit(cdesk: Cdesk, *lines: bytes) -> None:
    cdesk.text("emit", stdin=b"".join(lines))


def _calls(cdesk: Cdesk) -> list[list[Any]]:
    return cdesk.rows(
        "SELECT activity, feature_json.mood FROM CLAUDE_STREAM_V2 WHERE activity IN ('tool_called', 'mcp_called')"
    )


@pytest.mark.parametrize("is_served", [False, True], ids=["alone", "with the service"])
def test_drift_is_seen_accepted_and_released(cdesk: Cdesk, is_served: bool) -> None:
    """Rows that waited come in when somebody says so, once, and status and doctor say what waits."""
    (cdesk.home / "config.toml").write_text(STRICT)
    assert "nothing to do" in cdesk.text("drift", "list")
    if is_served:
        cdesk.up()
    _emit(cdesk, CALL, MCP)
    deadline = time.monotonic() + 20
    while len(found := cdesk.json("drift")["incidents"]) < 2 and time.monotonic() < deadline:
        pass
    ids = {one["activity"]: one["id"] for one in found}
    assert {one["quarantined"] for one in found} == {1} and _calls(cdesk) == []
    assert "mood (string) is not declared" in cdesk.text("drift", "show", ids["tool_called"][:8])
    assert cdesk.json("status")["drift"] == {"open": 2, "quarantined": 2}
    assert "2 open, 2 rows set aside" in cdesk.text("status")
    assert "drift" in [one["subject"] for one in json.loads(cdesk.run("doctor", "--json").stdout)["findings"]]

    assert cdesk.json("drift", "accept", ids["tool_called"])["requeued"] == 1
    assert cdesk.json("drift", "accept", ids["tool_called"])["requeued"] == 0
    refused = cdesk.run("drift", "accept", ids["mcp_called"])
    assert (
        refused.returncode == 2 and b"the family mcp is frozen" in refused.stderr and refused.stderr.count(b"\n") == 1
    )
    assert "1 rows went back" in cdesk.text("drift", "release", ids["mcp_called"][:6])
    while len(_calls(cdesk)) < 2 and time.monotonic() < deadline:
        pass
    assert sorted(_calls(cdesk)) == [["mcp_called", "good"], ["tool_called", "good"]]
    assert {one["activity"]: one["status"] for one in cdesk.json("drift")["incidents"]} == {
        "tool_called": "accepted", "mcp_called": "released"}  # fmt: skip
    assert cdesk.json("status")["drift"] == {"open": 0, "quarantined": 0}


def test_a_wrong_word_is_one_line_with_a_remedy(cdesk: Cdesk) -> None:
    for arguments in (["accept"], ["show", "nothing"]):
        done = cdesk.run("drift", *arguments)
        assert done.returncode == 2 and b"`cdesk drift list`" in done.stderr and done.stderr.count(b"\n") == 1


def test_a_wrong_policy_is_one_line_that_names_the_file(cdesk: Cdesk) -> None:
    (cdesk.home / "config.toml").write_text('[drift]\nllm = "loose"\n')
    done = cdesk.run("drift")
    assert done.returncode == 2 and b"config.toml" in done.stderr and done.stderr.count(b"\n") == 1
