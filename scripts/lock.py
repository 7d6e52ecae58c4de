"""Writes requirements.lock and requirements-dev.lock: exact versions of what pyproject.toml asks for.

Resolved by pip itself, without installing anything; run it as `make lock`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    dev = project["dependency-groups"]["dev"]
    locked = _resolve(runtime)
    _write("requirements.lock", locked)
    _write("requirements-dev.lock", [line for line in _resolve([*locked, *dev]) if line not in locked])


def _resolve(wanted: list[str]) -> list[str]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    told = subprocess.run([*command, *wanted], check=True, capture_output=True, text=True).stdout
    found = json.loads(told[told.index("{") :])["install"]
    return sorted(f"{item['metadata']['name'].lower()}=={item['metadata']['version']}" for item in found)


def _write(name: str, lines: list[str]) -> None:
    (ROOT / name).write_text("# made by `make lock`\n" + "".join(f"{line}\n" for line in lines))


main()
