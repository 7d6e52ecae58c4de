"""A warehouse that is ready at once: deploying its tables and views anew takes longer than most tests."""

from __future__ import annotations

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cdesk.warehouse.duckdb.store import FILE_NAME, DuckDBWarehouse


def put(folder: Path) -> Path:
    """Puts an empty warehouse with all its tables and views into a folder that has none."""
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / FILE_NAME).exists():
        shutil.copyfile(_blank() / FILE_NAME, folder / FILE_NAME)
        (folder / FILE_NAME).chmod(0o600)
    return folder


@cache
def _blank() -> Path:
    """Deployed once in a process."""
    folder = Path(mkdtemp(prefix="blank-warehouse-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    DuckDBWarehouse(folder).close()
    return folder
