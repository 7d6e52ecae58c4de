"""Tells whether the stream may already hold an id, so that new facts are written without looking for them.

DuckDB finds an id by scanning the id column, which costs more the more it holds. Nearly all ids are either new or were
seen a moment ago (the same fact from another source). So:

    filter    a split-block Bloom filter (256-bit blocks, eight bits an id; S. Sanders et al., as in Apache Parquet) over
              every name in the stream: "no" is certain, "maybe" is wrong about once in ten thousand
    recent    the times of rows written lately, by name: where they stand is known, and the look-up is pruned to there

What is neither new nor recent is looked for everywhere. (A second name that two facts share, one of them recent and the
other not, is looked for where the recent one stands; only hand-made histories share names.) The filter is built from the table when the first batch comes,
and again, larger, when it is full; it is never written to disk, so it can never be out of date.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime

import duckdb

from cdesk.errors import WarehouseError

BITS_PER_NAME = 24
BLOCK_BITS = 256
BLOCKS_MIN = 1 << 12
HEADROOM = 2
RECENT_MAX = 200_000

Extent = tuple[datetime, datetime]

_MASK = 2**64 - 1
_MIX = 0x9E3779B97F4A7C15
_BLOCK = struct.Struct("<8I")


class Known:
    """The names in one table: `columns` are its UUID columns that hold them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns
        self._blocks = 0
        self._filter = bytearray()
        self._names = 0
        self._recent: dict[str, Extent] = {}
        self._older: dict[str, Extent] = {}
        self._build()

    def maybe(self, names: Iterable[str]) -> set[str]:
        """Those of the names that the table may hold; of all others it is certain that it does not."""
        found: set[str] = set()
        unpack = _BLOCK.unpack_from
        for name in names:
            mixed = _mixed(name)
            block = unpack(self._filter, ((mixed >> 40) & (self._blocks - 1)) * 32)
            for word in block:
                if not word >> (mixed & 31) & 1:
                    break
                mixed >>= 5
            else:
                found.add(name)
        return found

    def extent(self, names: Iterable[str]) -> Extent | None:
        """The first and last time of the rows that hold the names, when all of them were written lately; else None."""
        lows: list[datetime] = []
        highs: list[datetime] = []
        for name in names:
            known = self._extent(name)
            if known is None:
                return None
            lows.append(known[0])
            highs.append(known[1])
        return (min(lows), max(highs)) if lows else None

    def add(self, names: Sequence[str], at: datetime) -> None:
        """A row with these names was committed, or is about to be: knowing too much is harmless."""
        for name in names:
            mixed = _mixed(name)
            start = ((mixed >> 40) & (self._blocks - 1)) * 32
            words = _BLOCK.unpack_from(self._filter, start)
            _BLOCK.pack_into(self._filter, start, *(w | 1 << (mixed >> 5 * i & 31) for i, w in enumerate(words)))
            self._names += 1
        self.remember(names, at)
        if self._names * BITS_PER_NAME > self._blocks * BLOCK_BITS:
            self._build()

    def remember(self, names: Iterable[str], at: datetime) -> None:
        """A row with these names stands at this time. A second name may be several rows': all of them count."""
        for name in names:
            low, high = self._extent(name) or (at, at)
            self._recent[name] = (min(low, at), max(high, at))
        if len(self._recent) > RECENT_MAX:
            self._older, self._recent = self._recent, {}

    def _extent(self, name: str) -> Extent | None:
        return self._recent.get(name) or self._older.get(name)

    def _build(self) -> None:
        """From the table itself. Eight million names take about two seconds, once."""
        counts = ", ".join(f"count({column})" for column in self._columns)
        self._names = sum(self._connection.execute(f"SELECT {counts} FROM {self._table}").fetchall()[0])
        wanted = self._names * HEADROOM * BITS_PER_NAME // BLOCK_BITS
        self._blocks = max(BLOCKS_MIN, 1 << wanted.bit_length())
        self._filter = bytearray(self._blocks * 32)
        if self._names:
            result = self._connection.execute(self._fill_sql())
            while rows := result.fetchmany(20_000):
                for block, *words in rows:
                    _BLOCK.pack_into(self._filter, block * 32, *words)

    def _fill_sql(self) -> str:
        names = " UNION ALL ".join(
            f"SELECT {column}::UHUGEINT AS x FROM {self._table} WHERE {column} IS NOT NULL" for column in self._columns
        )
        words = ", ".join(f"bit_or(1::UBIGINT << ((h >> {5 * i}) & 31))::UINTEGER" for i in range(8))
        mixed = f"((xor(x, x >> 64) & {_MASK}::UHUGEINT) * {_MIX}::UHUGEINT & {_MASK}::UHUGEINT)::UBIGINT"
        return f"SELECT (h >> 40) & {self._blocks - 1} AS block, {words} FROM (SELECT {mixed} AS h FROM ({names})) GROUP BY 1"


def _mixed(name: str) -> int:
    """64 well-spread bits of a UUID; `_fill_sql` says the same in SQL."""
    try:
        x = int(name.replace("-", ""), 16)
    except ValueError:
        raise WarehouseError(f"{name!r} is not a UUID.") from None
    return ((x ^ x >> 64) & _MASK) * _MIX & _MASK
