"""`python -m tests.mcp.conformance`: the server that the suite asks, until Ctrl-C."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from tests.mcp.conformance.server import serving

with TemporaryDirectory() as folder, serving(Path(folder)) as url:
    print(url, flush=True)
    with suppress(KeyboardInterrupt):
        Event().wait()
