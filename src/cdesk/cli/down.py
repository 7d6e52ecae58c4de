"""`cdesk down`: stops the service; what was acknowledged stays."""

from __future__ import annotations

import os
import signal
import time

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import running
from cdesk.errors import ServiceError

PATIENCE_S = 30.0


def run(arguments: list[str]) -> int:
    parser = show.parser("down", "Stops the service. What was acknowledged is safe, and is there at the next start.")
    parser.add_argument("--sample", action="store_true", help="stop the one with the sample data")
    given = parser.parse_args(arguments)
    home = config.sample_home() if given.sample else config.home()
    record = running(home)
    if record is None:
        print("Not running.")
        return 0
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while running(home) is not None:
        if time.monotonic() > deadline:
            raise ServiceError(f"process {record.pid} did not stop within {PATIENCE_S:g} s.", f"Look into {home.log}.")
        time.sleep(0.05)
    print(f"Stopped (pid {record.pid}).")
    return 0
