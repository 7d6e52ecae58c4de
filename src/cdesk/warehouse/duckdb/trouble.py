"""DuckDB's failures become ours here, once: is it the data, or the engine itself?

The engine is in trouble when the disk fails, two transactions meet, or it has given up; whatever it was asked, the same may
succeed later. To take that for the fault of a line would set a good line aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

import duckdb

from cdesk.errors import WarehouseError, WarehouseUnready

TROUBLE = (
    duckdb.IOException, duckdb.TransactionException, duckdb.ConnectionException, duckdb.FatalException,
    duckdb.InterruptException,
)  # fmt: skip


Healing: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Goes around what is asked of DuckDB, outside of any lock: opens it anew when it has given up."""


@contextmanager
def translated(*more: type[duckdb.Error]) -> Iterator[None]:
    """Raises WarehouseUnready for trouble, and for `more` kinds of it; WarehouseError for any other failure."""
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, (*TROUBLE, *more)):
            raise WarehouseUnready(
                f"the warehouse cannot be used now: {first_line(error)}.",
                "Nothing is lost, it is tried again; see that there is disk space, and restart the service if it stays.",
            ) from error
        raise WarehouseError(first_line(error)) from error


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
