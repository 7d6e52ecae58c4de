"""Writes and reads the content of artifacts: Parquet, by a small DuckDB of its own that may touch this one folder.

    rows in batches, or an Arrow stream ──▶ a table that may spill to the folder ──▶ Parquet, row groups of ROW_GROUP_ROWS

What Parquet or its readers have no word for is kept as the nearest that loses nothing: sums of whole numbers (HUGEINT)
as decimals of 38 digits, intervals as seconds, lists, structs and VARIANTs as their JSON text. The content schema keeps
the type the question had.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import duckdb
import msgspec

from cdesk.artifact.model import Column
from cdesk.errors import ArtifactError, UsageError

ROW_GROUP_ROWS = 10_240
BATCH_ROWS = 2_048
MEMORY_LIMIT = "192MB"
COLUMNS_MAX = 2_000
_PLAIN = re.compile(
    r"(BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+, ?\d+\)|VARCHAR|DATE|TIME|TIMESTAMP"
    r"|TIMESTAMP WITH TIME ZONE|UUID|BLOB)$"
)
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?\d+\)$")


class ArrowStream(Protocol):
    """Whatever gives Arrow data by the C stream interface: a table of pyarrow, of polars, or a stream of nanoarrow."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class Written(msgspec.Struct, frozen=True):
    """columns: as they are kept, nullability found out where nobody said it · first: the first rows, as Python values
    row_group_bytes: compressed, of each"""

    columns: tuple[Column, ...]
    row_count: int
    row_group_bytes: tuple[int, ...]
    first: list[tuple[Any, ...]]


class Parquet:
    """`folder` is all it can read or write; it is opened when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opening = threading.Lock()
        self._opened: duckdb.DuckDBPyConnection | None = None

    def write(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Any]] | ArrowStream, path: Path, first: int
    ) -> Written:
        """Raises ArtifactError when a value is not of its column's type, or there is no room."""
        if not 0 < len(columns) <= COLUMNS_MAX:
            raise UsageError(f"an artifact has 1 to {COLUMNS_MAX:,} columns, not {len(columns):,}.")
        columns = _named_apart(columns)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        with _translated(), self._connection.cursor() as cursor:
            if hasattr(rows, "__arrow_c_stream__"):
                _take_arrow(cursor, columns, rows)
            else:
                _take_rows(cursor, columns, rows)
            kept = _without_guesses(cursor, columns)
            shown = cursor.execute(f"SELECT * FROM kept LIMIT {first}").fetchall()
            form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}, USE_TMP_FILE false"
            [(count,)] = cursor.execute(f"COPY kept TO {_text(path)} ({form})").fetchall()
            cursor.execute("DROP TABLE kept").fetchall()
            return Written(kept, int(count), _row_groups(cursor, path), shown)

    def read(self, path: Path, offset: int = 0, count: int | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in order, some at a time. Raises ArtifactError for a file that is not whole."""
        until = "" if count is None else f" AND file_row_number < {offset + count}"
        sql = (
            f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({_text(path)}, file_row_number = true)"
            f" WHERE file_row_number >= {offset}{until} ORDER BY file_row_number"
        )
        if not offset and count is None:
            sql = f"SELECT * FROM read_parquet({_text(path)})"
        with _translated(), self._connection.cursor() as cursor:
            cursor.execute(sql)
            while batch := cursor.fetchmany(BATCH_ROWS):
                yield batch

    def arrow(self, path: Path, out: IO[bytes]) -> None:
        """The whole content as one Arrow IPC stream."""
        import nanoarrow as na  # type: ignore[import-untyped]
        from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]

        with _translated(), self._connection.cursor() as cursor:
            relation = cursor.sql(f"SELECT * FROM read_parquet({_text(path)})")
            with StreamWriter.from_writable(out) as writer:
                writer.write_stream(na.c_array_stream(relation))

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._opened is None:
                self._opened = _connected(self._folder)
            return self._opened


def _connected(folder: Path) -> duckdb.DuckDBPyConnection:
    spill = folder / "spill"
    shutil.rmtree(spill, ignore_errors=True)  # what a killed process left; one process at a time owns a home
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT, "threads": "1", "temp_directory": str(spill),
            "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
        },
    )  # fmt: skip
    connection.execute(f"SET allowed_directories = [{_text(folder)}]")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


# -- taking rows in ------------------------------------------------------------------------------------------------


def _take_rows(cursor: duckdb.DuckDBPyConnection, columns: Sequence[Column], rows: Any) -> None:
    types = [_kept_as(column.type) for column in columns]
    convert = [(place, how) for place, column in enumerate(columns) if (how := _converter(column.type))]
    names = ", ".join(f"{_name(c.name)} {type_}" for c, type_ in zip(columns, types, strict=True))
    cursor.execute(f"CREATE TEMP TABLE kept ({names})").fetchall()
    lists = ", ".join(f"unnest(${place}::{type_}[])" for place, type_ in enumerate(types, 1))
    source = iter(rows)
    while batch := list(islice(source, BATCH_ROWS)):
        values: list[Any] = [list(column) for column in zip(*batch, strict=True)]
        for place, how in convert:
            values[place] = [None if value is None else how(value) for value in values[place]]
        cursor.execute(f"INSERT INTO kept SELECT {lists}", values).fetchall()


def _take_arrow(cursor: duckdb.DuckDBPyConnection, columns: Sequence[Column], rows: Any) -> None:
    import nanoarrow as na

    cursor.register("given", na.ArrayStream(rows))
    try:
        found = cursor.execute("DESCRIBE given").fetchall()
        if len(found) != len(columns):
            raise UsageError(f"the Arrow data has {len(found)} columns, not {len(columns)}.")
        parts = ", ".join(
            f"{_as_kept(_name(row[0]), str(row[1]))} AS {_name(column.name)}"
            for row, column in zip(found, columns, strict=True)
        )
        cursor.execute(f"CREATE TEMP TABLE kept AS SELECT {parts} FROM given").fetchall()
    finally:
        cursor.unregister("given")


def _kept_as(type_: str) -> str:
    if _PLAIN.match(type_):
        return type_
    if type_ in ("HUGEINT", "UHUGEINT"):
        return "DECIMAL(38, 0)"
    if type_ == "INTERVAL":
        return "DOUBLE"
    return "TIMESTAMP" if type_.startswith("TIMESTAMP_") else "VARCHAR"


def _converter(type_: str) -> Callable[[Any], Any] | None:
    if type_ == "INTERVAL":
        return timedelta.total_seconds
    return None if _kept_as(type_) != "VARCHAR" or type_ == "VARCHAR" else _written_out


def _as_kept(name: str, type_: str) -> str:
    if type_ == "INTERVAL":
        return f"epoch({name})"
    if re.search(r"\[|^(STRUCT|MAP|UNION|VARIANT)", type_):
        return f"to_json({name})::VARCHAR"
    return f"{name}::{_kept_as(type_)}"


def _written_out(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()


def _named_apart(columns: Sequence[Column]) -> list[Column]:
    """Two columns of one name, in upper or lower case, would be one for most readers."""
    taken: set[str] = set()
    found = []
    for column in columns:
        name, number = column.name or "column", 1
        while name.casefold() in taken:
            number += 1
            name = f"{column.name or 'column'}_{number}"
        taken.add(name.casefold())
        found.append(msgspec.structs.replace(column, name=name))
    return found


def _without_guesses(cursor: duckdb.DuckDBPyConnection, columns: Sequence[Column]) -> tuple[Column, ...]:
    nulls = ", ".join(f"count(*) > count({_name(column.name)})" for column in columns)
    [found] = cursor.execute(f"SELECT {nulls} FROM kept").fetchall()
    return tuple(
        msgspec.structs.replace(
            column, nullable=bool(has_nulls) if column.nullable is None else column.nullable,
            precision=_digits(column.type) if column.precision is None else column.precision,
            unit="s" if column.type == "INTERVAL" else column.unit,
        )
        for column, has_nulls in zip(columns, found, strict=True)
    )  # fmt: skip


def _digits(type_: str) -> int | None:
    found = _DECIMAL.match(type_)
    return int(found[1]) if found else None


def _row_groups(cursor: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, ...]:
    sql = f"SELECT sum(total_compressed_size) FROM parquet_metadata({_text(path)}) GROUP BY row_group_id ORDER BY row_group_id"
    return tuple(int(size) for (size,) in cursor.execute(sql).fetchall())


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        said = str(error).strip().splitlines()[0]
        full = isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException)
        raise ArtifactError(
            f"the content cannot be written or read: {said}.",
            "See that there is disk space, and that nobody changed the file." if full else "Keep it with other types.",
        ) from error


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"
