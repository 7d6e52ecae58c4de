"""Tells whether the stream may already hold an id, so that new facts are written without looking for them.

DuckDB finds an id by scanning the id column, which costs more the more it holds, and nearly all ids are new. A split-block
Bloom filter (256-bit blocks, eight bits an id; as in Apache Parquet) over every name in the stream answers: its "no" is
certain, its "maybe" is wrong about once in ten thousand.

The filter is built from the table and never written to disk, so it can never be out of date. A small one is built at
once; a large one in the background, and until it stands every name is a "maybe": slower, and just as right. So it is
when the filter is full and the next one, twice as large, is being built: the full one answers meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt

from cdesk.errors import WarehouseError

BITS_PER_NAME = 24
BLOCK_BITS = 256
BLOCKS_MIN = 1 << 12
HEADROOM = 2
BUILT_AT_ONCE_MAX = 200_000
"""Names; more than these are read in the background."""
SLICE_ROWS = 500_000
"""Rows of the table read in one go while a filter is built."""

_Hashes: TypeAlias = npt.NDArray[np.uint64]

_MASK = 2**64 - 1
_MIX = 0x9E3779B97F4A7C15
_SHIFTS = np.arange(0, 40, 5, dtype=np.uint64)
_WORD_BITS = np.uint64(31)
_BLOCK_SHIFT = np.uint64(40)


class Known:
    """The names in one table: `columns` are its UUID columns that hold them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns
        self._filter: _Filter | None = None
        self._next: _Filter | None = None
        self._adding = threading.Lock()
        self._builder: threading.Thread | None = None
        self._is_closed = False
        self._begin()

    def maybe(self, names: Sequence[str]) -> set[str]:
        """Those of the names that the table may hold; of all others it is certain that it does not."""
        filter_ = self._filter
        hashes = _hashes(names)
        if filter_ is None:
            return set(names)
        return {names[place] for place in filter_.has(hashes).nonzero()[0].tolist()}

    def add(self, names: Sequence[str]) -> None:
        """All names that the next commit will bring, none of them committed yet. Knowing too much is harmless."""
        if not names:
            return
        if self._filter is not None and self._filter.is_full and self._builder is None:
            self._begin()  # before these are added: they are not in the table yet
        hashes = _hashes(names)
        with self._adding:
            for filter_ in (self._filter, self._next):
                if filter_ is not None:
                    filter_.add(hashes)

    def settle(self) -> None:
        """Waits until the filter stands."""
        builder = self._builder
        if builder is not None:
            builder.join()

    def close(self) -> None:
        self._is_closed = True
        self.settle()

    def _begin(self) -> None:
        """From the table itself: what is added from now on reaches the new filter, what is committed by now is read."""
        counts = ", ".join(f"count({column})" for column in self._columns)
        names = sum(self._connection.execute(f"SELECT {counts} FROM {self._table}").fetchall()[0])
        self._next = _Filter(names)
        if names <= BUILT_AT_ONCE_MAX:
            self._build(self._connection, self._next)
            return
        cursor = self._connection.cursor()
        self._builder = threading.Thread(target=self._build, args=(cursor, self._next), name="cdesk-known", daemon=True)
        self._builder.start()

    def _build(self, cursor: duckdb.DuckDBPyConnection, filter_: _Filter) -> None:
        """Eight million names take about two seconds."""
        try:
            end = cursor.execute(f"SELECT coalesce(max(rowid) + 1, 0) FROM {self._table}").fetchall()[0][0]
            for column in self._columns:
                for start in range(0, end, SLICE_ROWS):
                    if self._is_closed:
                        return
                    read = cursor.execute(_slice_sql(self._table, column), [start, start + SLICE_ROWS]).fetchnumpy()
                    with self._adding:
                        filter_.add(np.ma.getdata(read["h"]).astype(np.uint64, copy=False))
            self._filter, self._next = filter_, None
        except duckdb.Error:
            self._next = None  # every name stays a "maybe"; the next full filter, or start, tries again
        finally:
            self._builder = None


class _Filter:
    """The split-block filter over 64-bit hashes, with room for twice the names it is made for."""

    def __init__(self, names: int) -> None:
        wanted = names * HEADROOM * BITS_PER_NAME // BLOCK_BITS
        self._blocks = max(BLOCKS_MIN, 1 << wanted.bit_length())
        self._words = np.zeros(self._blocks * 8, dtype=np.uint32)
        self._names = 0

    @property
    def is_full(self) -> bool:
        return self._names * BITS_PER_NAME > self._blocks * BLOCK_BITS

    def has(self, hashes: _Hashes) -> npt.NDArray[np.bool_]:
        words, bits = self._places(hashes)
        found: npt.NDArray[np.bool_] = ((self._words[words] & bits) == bits).all(axis=1)
        return found

    def add(self, hashes: _Hashes) -> None:
        words, bits = self._places(hashes)
        np.bitwise_or.at(self._words, words.ravel(), bits.ravel())
        self._names += len(hashes)

    def _places(self, hashes: _Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """For each hash the eight words of its block, and the bit it has in each."""
        block = ((hashes >> _BLOCK_SHIFT) & np.uint64(self._blocks - 1)).astype(np.int64)
        words = block[:, None] * 8 + np.arange(8)
        bits = np.uint32(1) << ((hashes[:, None] >> _SHIFTS) & _WORD_BITS).astype(np.uint32)
        return words, bits


def _hashes(names: Sequence[str]) -> _Hashes:
    """64 well-spread bits of each UUID; `_slice_sql` says the same in SQL."""
    try:
        raw = bytes.fromhex("".join(names).replace("-", ""))
        halves = np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(len(names), 2)
    except ValueError:
        raise WarehouseError(f"{_not_uuid(names)!r} is not a UUID.") from None
    return (halves[:, 0] ^ halves[:, 1]) * np.uint64(_MIX)


def _not_uuid(names: Sequence[str]) -> str:
    return next((name for name in names if len(name.replace("-", "")) != 32 or not _is_hex(name)), names[0])


def _is_hex(name: str) -> bool:
    try:
        bytes.fromhex(name.replace("-", ""))
    except ValueError:
        return False
    return True


def _slice_sql(table: str, column: str) -> str:
    x = f"{column}::UHUGEINT"
    mixed = f"((xor({x}, {x} >> 64) & {_MASK}::UHUGEINT) * {_MIX}::UHUGEINT & {_MASK}::UHUGEINT)::UBIGINT"
    return f"SELECT {mixed} AS h FROM {table} WHERE {column} IS NOT NULL AND rowid >= $1 AND rowid < $2"
