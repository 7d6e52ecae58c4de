"""Facts about the machine that figures depend on, and nothing that names it."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FLUSHES = 100


def facts() -> dict[str, object]:
    """flush_ms: median of appending 600 bytes and flushing them to disk, the figure machines differ in most."""
    return {
        "cpu": _cpu(), "cores": os.cpu_count(), "memory_gb": _memory_gb(), "system": platform.system(), "arch": platform.machine(),
        "python": platform.python_version(), "duckdb": version("duckdb"), "msgspec": version("msgspec"),
        "flush_ms": round(_flush_ms(), 3), "load_1m": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _flush_ms() -> float:
    took: list[float] = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(FLUSHES):
            start = time.perf_counter()
            os.write(file.fileno(), b"x" * 600)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000
