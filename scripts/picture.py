"""Draws docs/images/usage.svg: real output of `cdesk usage daily` on the bundled sample data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "usage.svg"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CDESK_HOME": f"{folder}/home", "COLUMNS": "84"}
        cdesk = [sys.executable, "-m", "cdesk"]
        subprocess.run([*cdesk, "up", "--sample", "--detach", "--port", "0"], env=environment, check=True)
        environment["CDESK_HOME"] += "-sample"
        told = [
            f"$ cdesk {' '.join(words)}\n{_output([*cdesk, *words], environment)}"
            for words in (["usage", "daily", "--since", "2026-11-09", "--timezone", "UTC"], ["usage", "project"])
        ]
        subprocess.run([*cdesk, "down"], env=environment, check=True)
    console = Console(record=True, width=84, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(Text("\n".join(told)))
    drawn = console.export_svg(title="cdesk")
    TARGET.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S))  # no fonts from elsewhere


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


main()
