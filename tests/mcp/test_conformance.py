"""The official conformance suite finds nothing wrong, in either era."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mcp.conformance import suite
from tests.mcp.conformance.server import serving

REACHED = {"2025-11-25": 84, "2026-07-28": 197}
"""Checks that succeed; the requirement sets are frozen, and the suite's version is too."""


@pytest.mark.slow
@pytest.mark.parametrize("revision", REACHED)
def test_the_suite_finds_nothing_wrong(tmp_path: Path, revision: str) -> None:
    """Every check of a revision, those that the suite runs without scoring included."""
    results = tmp_path / "results"
    results.mkdir()
    with serving(tmp_path / "home") as url:
        found = suite.run(url, revision, results)
    assert not found.failures, "\n".join(found.failures)
    assert found.statuses["SUCCESS"] == REACHED[revision], found.statuses
