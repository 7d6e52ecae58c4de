from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.artifact.house import House

from cdesk.warehouse.duckdb.store import DuckDBWarehouse

ROOT = Path(__file__).resolve().parents[2]
STARTING_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(deployed(tmp_path_factory.mktemp("warehouse")))
    yield opened
    opened.close()


@pytest.fixture
def house(tmp_path: Path, warehouse: DuckDBWarehouse) -> Iterator[House]:
    for table in ("ARTIFACTS", "LEGAL_HOLD", "ARTIFACT_CONTENT_DUE"):
        warehouse.write([(f"DELETE FROM {table}", [])])
    found = House(tmp_path, warehouse)
    yield found
    found.artifacts.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3-compatible server that checks signatures: ministack, in an environment of its own."""
    command = Path(os.environ.get("CDESK_MINISTACK") or ROOT / ".venv" / "ministack" / "bin" / "ministack")
    if find_spec("obstore") is None or not command.exists():
        pytest.skip("no obstore, or no ministack in .venv/ministack: `make .venv/.installed-dev` installs both")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"], "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3,iam,sts",
        "AUTH": "true", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "DOCKER_HOST": "unix:///nonexistent",
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("ministack")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([command], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(server, f"http://127.0.0.1:{port}/", folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + STARTING_SECONDS_MAX
    while server.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"ministack did not start: {log.read_text()[-2000:]}")
