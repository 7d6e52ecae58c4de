"""The docs say what is true: commands run as printed, every command and room has its place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk

from cdesk.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_activities_page_is_current() -> None:
    """docs/activities.md is made from the catalog."""
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "catalog_page.py"), "--check"], check=False)
    assert done.returncode == 0, "run scripts/catalog_page.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`cdesk {command}" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links and pictures exist."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def _commands() -> list[tuple[str, str]]:
    """`$ cdesk …` lines of console blocks that need nothing but a home."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), flags=re.S):
            for line in re.findall(r"^\$ (.*)$", block, flags=re.M):
                if re.match(
                    r"(echo .*\| )?cdesk (usage|cost|ask|template|sql|artifact|status|doctor|import|emit|drift|insight|context|dataset|--)",
                    line,
                ):
                    found.append((page.name, line))
    return found


@pytest.mark.parametrize(("page", "line"), _commands(), ids=lambda value: value[:60])
def test_commands_run_as_printed(cdesk: Cdesk, page: str, line: str) -> None:
    """Examples are run by a shell, word for word."""
    import os

    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(cdesk.home.parent),
        "CDESK_HOME": str(cdesk.home), "CLAUDE_CONFIG_DIR": str(cdesk.claude_dir),
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
    }  # fmt: skip
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{page}: {line}\n{done.stderr}"
