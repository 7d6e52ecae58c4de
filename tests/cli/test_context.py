"""`cdesk context`: from the cache at once, else built; what is wrong is said in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk

from cdesk.surface.context import project_of


@pytest.fixture
def cdesk(tmp_path: Path) -> Cdesk:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    blank.put(tmp_path / "home" / "warehouse")
    return Cdesk(tmp_path / "home", tmp_path / "claude")


def emit(cdesk: Cdesk, error: str, project: Path | str) -> None:
    line = {
        "activity": "tool_called", "ts": "2026-11-23T09:00:00Z", "customer": "ada", "activity_id": error,
        "feature_json": {"tool_name": "Bash", "tool_use_id": error, "success": False, "error": error, "project_path": str(project)},
    }  # fmt: skip
    cdesk.text("emit", stdin=json.dumps(line).encode())


def test_nothing_known_says_what_to_do(cdesk: Cdesk) -> None:
    """A home that is new."""
    told = cdesk.text("context", "--project", "/nowhere")
    assert (
        told
        == "Nothing is known of /nowhere yet. `cdesk import` reads your history; `cdesk usage project` lists projects.\n"
    )


def test_without_a_service_it_is_built_once(cdesk: Cdesk) -> None:
    """From the warehouse, with what waits in the queue; the second time it is read, and says its age."""
    emit(cdesk, "exit 1", "/p")
    first = cdesk.json("context", "--project", "/p", "--customer", "ada")
    assert '"exit 1"' in first["text"] and first["statements"][0]["sources"][0].startswith("activity:")
    again = cdesk.run("context", "--project", "/p", "--customer", "ada")
    assert b'"exit 1"' in again.stdout and b" old, from data up to 2026-11-23 09:00 UTC" in again.stdout
    assert b"The service is down" in again.stderr
    assert cdesk.json("context", "--project", "/p", "--customer", "ada")["built_at"] == first["built_at"]


def test_each_statement_is_explained(cdesk: Cdesk) -> None:
    """Why it was chosen, and where it is from."""
    emit(cdesk, "exit 1", "/p")
    told = cdesk.text("context", "--all-projects", "--customer", "ada", "--kind", "engineer", "--explain")
    assert "all projects · engineer" in told
    assert "why: failed lately; failure weighs 1 for engineer" in told and "from: activity:" in told


def test_the_project_is_where_one_is(cdesk: Cdesk, tmp_path: Path) -> None:
    """The repository around the folder, and without one the folder."""
    inside = tmp_path / "work" / "src"
    inside.mkdir(parents=True)
    assert project_of(inside) == str(inside)
    (tmp_path / "work" / ".git").write_text("gitdir: elsewhere")
    assert project_of(inside) == str(tmp_path / "work")
    emit(cdesk, "exit 1", tmp_path / "work")
    environment = {
        **os.environ,
        "CDESK_HOME": str(cdesk.home),
        "CLAUDE_CONFIG_DIR": str(cdesk.claude_dir),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cdesk", "context", "--customer", "ada"], cwd=inside, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"exit 1"' in done.stdout


@pytest.mark.parametrize("wrong", [["--kind", "poet"], ["--project", "/p", "--all-projects"], ["--what"]])
def test_what_was_typed_wrong_is_said(cdesk: Cdesk, wrong: list[str]) -> None:
    """Exit code 2, no traceback."""
    done = cdesk.run("context", *wrong)
    assert done.returncode == 2 and b"Traceback" not in done.stderr


def test_a_damaged_cache_is_made_anew(cdesk: Cdesk) -> None:
    """Nobody has to do anything about it."""
    emit(cdesk, "exit 1", "/p")
    cdesk.json("context", "--project", "/p", "--customer", "ada")
    (cdesk.home / "context" / "cache.sqlite").write_bytes(b"junk" * 5000)
    assert '"exit 1"' in cdesk.json("context", "--project", "/p", "--customer", "ada")["text"]
