"""The emulator as a process of its own, for tests and benchmarks: started by the Python that has fakesnow."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("CDESK_EMULATOR_PYTHON", ROOT / ".venv" / "emulator" / "bin" / "python"))
STARTING_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """connections: a connections.toml that names it `emulator`."""

    port: int
    pid: int
    connections: Path


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """Until the end of the block; its log is in the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connections = folder / "connections.toml"
    connections.write_text(
        f'[emulator]\naccount = "fakesnow"\nuser = "fake"\npassword = "snow"\nhost = "127.0.0.1"\nport = {port}\n'
        'protocol = "http"\n'
    )
    connections.chmod(0o600)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [PYTHON, str(Path(__file__).parent / "server.py"), str(port)], env=environment, stdout=log, stderr=log
        )
        try:
            _wait(server, port, folder / "log")
            yield Running(port, server.pid, connections)
        finally:
            server.terminate()
            server.wait(20)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(errors="replace")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the emulator did not start: {log.read_text(errors='replace')}")
