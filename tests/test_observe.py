"""Telling what happens stops nobody."""

from __future__ import annotations

import subprocess
import sys

FULL = """
from pathlib import Path
from cdesk import observe
observe.log_to(Path("/dev/full"))
for _ in range(3):
    observe.event("error", "merge_failed")
print("went on")
"""


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    """On a full disk, the uploader's thread must outlive what it tells about the full disk."""
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert done.stdout == "went on\n", done.stderr
