"""`/metrics` speaks Prometheus' text format, and says what the status says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.surface.page_service import NOW, Served, prompt, serve

from cdesk.cli.status import told_of_team
from cdesk.config import Settings, SnowflakeSettings
from cdesk.warehouse.warehouse import Merged

SAMPLE = re.compile(r'([a-z_]+)(\{[a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*\})? (-?[0-9.e+-]+)')


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path) as found:
        yield found


def samples(served: Served) -> dict[str, float]:
    """Every line is a comment or a sample; every sample has its HELP and TYPE before it."""
    answer = served.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, float] = {}
    described: dict[str, set[str]] = {}
    for line in answer.text.splitlines():
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            assert rest and what not in described.setdefault(name, set())
            described[name].add(what)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert described[match[1]] == {"HELP", "TYPE"}
        assert match[1] + (match[2] or "") not in found
        found[match[1] + (match[2] or "")] = float(match[3])
    assert answer.text.endswith("\n")
    return found


def test_what_goes_through_the_queue_is_counted(served: Served) -> None:
    """Acknowledged, delivered, and what the warehouse made of it; a fact told again is a duplicate."""
    fact = prompt(NOW, "hello")
    served.put(fact)
    served.put(fact)
    found = samples(served)
    assert found["cdesk_queue_acknowledged_total"] == found["cdesk_queue_delivered_total"] == 2
    assert found['cdesk_warehouse_merged_total{result="inserted"}'] == 1
    assert found['cdesk_warehouse_merged_total{result="duplicate"}'] == 1
    assert found["cdesk_queue_bytes"] == found["cdesk_queue_dead_letters"] == 0
    assert found["cdesk_warehouse_activities"] == 1
    levels = {name: value for name, value in found.items() if name.startswith("cdesk_queue_pressure")}
    assert len(levels) == 4 and levels['cdesk_queue_pressure{level="normal"}'] == 1 and sum(levels.values()) == 1


def test_what_waits_is_shown(served: Served) -> None:
    """Before it is in the warehouse."""
    assert not served.app.intake.take([prompt(NOW, "hello")]).rejected
    found = samples(served)
    assert found["cdesk_queue_events"] == found["cdesk_queue_segments"] == 1
    assert 0 < found["cdesk_queue_bytes"] <= found["cdesk_queue_stored_bytes"] < found["cdesk_queue_limit_bytes"]


def test_it_needs_the_token(served: Served) -> None:
    assert served.client.get("/metrics", headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize("path", ["copy", "streaming"])
def test_what_goes_to_the_teams_warehouse_is_told(path: Literal["copy", "streaming"], tmp_path: Path) -> None:
    """By either path: what waits, and what was carried and may have cost since the service started."""
    team = SnowflakeSettings(connection="team", load=True, path=path)
    with serve(tmp_path, settings=Settings(snowflake=team)) as served:
        served.app.team_depth()
        served.app._other_reader("snowflake").read(lines_max=0)  # its lines stay until it has them
        served.put(prompt(NOW, "hello"))
        served.app.carried.moved(Merged(inserted=3, updated=2), 100.0, 140.0)
        served.app.carried.bytes_sent = lambda: 10**9 if path == "streaming" else 0
        found, status = samples(served), served.client.get("/v1/status").json()["team"]
    labels = f'{{path="{path}"}}'
    assert found[f"cdesk_team_rows_total{labels}"] == 5 and found[f"cdesk_team_batches_total{labels}"] == 1
    assert found[f"cdesk_team_credits_total{labels}"] == pytest.approx(
        100 / 3600 if path == "copy" else 0.0037, abs=1e-6
    )
    assert found[f"cdesk_team_waiting_bytes{labels}"] == status["bytes"] > 0
    told = told_of_team(status)
    assert (
        told[0].startswith("team        1 activities wait")
        and told[0].endswith(f"by {path}")
        and "5 rows in 1 rounds" in told[1]
    )
    assert told_of_team(status | {"trouble": "no way."})[-1].strip() == "no way."
