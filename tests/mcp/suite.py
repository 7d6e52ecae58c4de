"""The official conformance suite, run against a server; what it found is read from its checks, not from what it prints."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from tests.mcp import judges


class Found(msgspec.Struct, frozen=True):
    """statuses: how many checks ended how · failures: each that failed, with the scenario it belongs to"""

    statuses: dict[str, int]
    failures: list[str]


def run(url: str, revision: str, folder: Path) -> Found:
    """Everything that the revision requires, and what the suite runs beside it."""
    results = ("--output-dir", str(folder))
    judges.run(judges.CONFORMANCE, "server", "--url", url, "--requirements", revision, *results, home=folder)
    statuses: Counter[str] = Counter()
    failures: list[str] = []
    for path in sorted(folder.rglob("checks.json")):
        checks: list[dict[str, Any]] = json.loads(path.read_text())
        statuses.update(check["status"] for check in checks)
        failures += [
            f"{path.parent.name}: {check['id']}: {check.get('errorMessage')}"
            for check in checks
            if check["status"] == "FAILURE"
        ]
    return Found(dict(statuses), failures)
