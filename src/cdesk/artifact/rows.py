"""The rows of ARTIFACTS and LEGAL_HOLD, as warehouse/schema/05_artifact_tables.sql has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import msgspec

from cdesk.artifact.model import Artifact, Chart, Column, Listed, Place

Statement: TypeAlias = tuple[str, Sequence[Any]]

_HELD = """EXISTS (
    SELECT 1 FROM LEGAL_HOLD AS h WHERE h.released_at IS NULL
       AND (h.artifact_id = a.artifact_id OR (h.artifact_id IS NULL AND h.customer = a.customer)))"""
_SHORT = f"""
SELECT a.artifact_id, a.created_ts, a.customer, a.org_id, a.artifact_type, a.metadata::JSON::VARCHAR, a.row_count,
       a.column_count, a.total_bytes, a.source_query_id, a.expires_at, coalesce(a.is_pinned, FALSE), {_HELD},
       coalesce(a.access_count, 0), a.last_accessed_at, coalesce(a.version, 1), a.parent_artifact_id,
       a.s3_url, a.s3_bucket, a.s3_key"""
_LIST = f"""{_SHORT}
  FROM ARTIFACTS AS a WHERE ($query_id IS NULL OR a.source_query_id = $query_id)
 ORDER BY a.created_ts DESC, a.artifact_id DESC LIMIT $count"""
_WHOLE = f"""{_SHORT}, a.content_schema::JSON::VARCHAR, a.sample_rows::JSON::VARCHAR, a.row_group_bytes::JSON::VARCHAR,
       (SELECT list(c.artifact_id ORDER BY c.created_ts) FROM ARTIFACTS AS c WHERE c.parent_artifact_id = a.artifact_id)
  FROM ARTIFACTS AS a WHERE a.artifact_id = ?"""
_PUT = """
INSERT INTO ARTIFACTS (artifact_id, created_ts, customer, org_id, artifact_type, artifact_subtype, row_count,
       column_count, sample_rows, content_schema, row_group_bytes, total_bytes, s3_url, s3_bucket, s3_key, storage_class,
       size_bytes, source_query_id, source_query_tag, metadata, expires_at, is_pinned, access_count, version,
       parent_artifact_id)
SELECT ?, ?, ?, ?, ?, 'parquet', ?, ?, ?::JSON::VARIANT, ?::JSON::VARIANT, ?::JSON::VARIANT, ?, ?, ?, ?, ?, ?, ?, ?,
       ?::JSON::VARIANT, ?, FALSE, 0, ?, ?"""
_ACCESSED = """
UPDATE ARTIFACTS SET access_count = coalesce(access_count, 0) + ?, last_accessed_at = ? WHERE artifact_id = ?"""
_PIN = "UPDATE ARTIFACTS SET is_pinned = ? WHERE artifact_id = ?"
_HOLD = "INSERT INTO LEGAL_HOLD (hold_id, artifact_id, reason, placed_by, placed_at) VALUES (?, ?, ?, ?, ?)"
_RELEASE = "UPDATE LEGAL_HOLD SET released_at = ? WHERE artifact_id = ? AND released_at IS NULL"
_MAY_GO = f"a.artifact_id = ? AND NOT coalesce(a.is_pinned, FALSE) AND NOT {_HELD}"
_DUE = f"""
INSERT INTO ARTIFACT_CONTENT_DUE (artifact_id, s3_url, s3_bucket, s3_key, due_at)
SELECT artifact_id, s3_url, s3_bucket, s3_key, ? FROM ARTIFACTS AS a WHERE {_MAY_GO}"""
_DELETE = f"DELETE FROM ARTIFACTS AS a WHERE {_MAY_GO}"


_ANNOUNCE = "INSERT INTO ARTIFACT_CONTENT_DUE (artifact_id, s3_url, s3_bucket, s3_key, due_at) VALUES (?, ?, ?, ?, ?)"
_WHAT_IS_DUE = "SELECT artifact_id, s3_url, s3_bucket, s3_key FROM ARTIFACT_CONTENT_DUE WHERE due_at <= ?"
_DONE = "DELETE FROM ARTIFACT_CONTENT_DUE WHERE artifact_id IN (SELECT unnest(?::VARCHAR[]))"


class Answer(Protocol):
    @property
    def rows(self) -> list[tuple[Any, ...]]: ...


class Tables(Protocol):
    """What the rows need of a warehouse. Both raise WarehouseError."""

    def query(self, sql: str, parameters: Any = ...) -> Answer: ...

    def write(self, statements: Sequence[Statement]) -> list[int]:
        """In one transaction; how many rows each changed."""
        ...


class Rows:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def latest(self, count: int, query_id: str | None = None) -> list[Listed]:
        """The newest first."""
        found = self._tables.query(_LIST, {"query_id": query_id, "count": count}).rows
        return [Listed(**_short(row)) for row in found]

    def get(self, artifact_id: str) -> Artifact | None:
        found = self._tables.query(_WHOLE, [artifact_id]).rows
        return _whole(found[0]) if found else None

    def announce(self, artifact_id: str, place: Place, due: datetime) -> None:
        """Content that is about to be written: it goes at `due`, unless its row comes."""
        self._tables.write([(_ANNOUNCE, [artifact_id, place.url, place.bucket, place.key, _naive(due)])])

    def put(self, artifact: Artifact) -> None:
        self._tables.write([(_PUT, _values(artifact)), (_DONE, [[artifact.artifact_id]])])

    def accessed(self, counts: Sequence[tuple[str, int, datetime]]) -> None:
        """By artifact: how often more, and when last."""
        self._tables.write([(_ACCESSED, [count, _naive(at), id_]) for id_, count, at in counts])

    def pin(self, artifact_id: str, is_pinned: bool) -> None:
        self._tables.write([(_PIN, [is_pinned, artifact_id])])

    def hold(self, hold_id: str, artifact_id: str, reason: str, placed_by: str, at: datetime) -> None:
        self._tables.write([(_HOLD, [hold_id, artifact_id, reason, placed_by, _naive(at)])])

    def release(self, artifact_id: str, at: datetime) -> int:
        """How many holds of this artifact ended."""
        return self._tables.write([(_RELEASE, [_naive(at), artifact_id])])[0]

    def delete(self, artifact_id: str, at: datetime) -> bool:
        """False for one that is pinned, held or not there: then nothing changed. Its content is due from then on."""
        return self._tables.write([(_DUE, [_naive(at), artifact_id]), (_DELETE, [artifact_id])])[1] > 0

    def due(self, at: datetime) -> list[tuple[str, Place]]:
        """Content whose artifact is gone, or never came."""
        rows = self._tables.query(_WHAT_IS_DUE, [_naive(at)]).rows
        return [(row[0], _place(*row[1:])) for row in rows]

    def done(self, artifact_ids: Sequence[str]) -> None:
        """Their content is gone, too."""
        self._tables.write([(_DONE, [list(artifact_ids)])])


class _Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `metadata` holds."""

    title: str = ""
    sha256: str = ""
    chart: Chart | None = None


def _short(row: tuple[Any, ...]) -> dict[str, Any]:
    said = msgspec.json.decode(row[5] or "{}", type=_Said)
    return {
        "artifact_id": row[0], "created_at": row[1].replace(tzinfo=UTC), "customer": row[2], "org_id": row[3],
        "kind": row[4], "title": said.title, "sha256": said.sha256, "row_count": row[6] or 0, "column_count": row[7] or 0,
        "bytes": row[8] or 0, "query_id": row[9], "expires_at": _utc(row[10]), "is_pinned": row[11], "is_held": row[12],
        "access_count": row[13], "last_accessed_at": _utc(row[14]), "version": row[15], "parent_artifact_id": row[16],
        "place": _place(*row[17:20]),
    }  # fmt: skip


def _whole(row: tuple[Any, ...]) -> Artifact:
    said = msgspec.json.decode(row[5] or "{}", type=_Said)
    columns = msgspec.json.decode(row[20] or '{"columns":[]}', type=dict[str, tuple[Column, ...]])["columns"]
    return Artifact(
        **_short(row), chart=said.chart, columns=columns, sample=msgspec.json.decode(row[21] or "[]"),
        row_group_bytes=tuple(msgspec.json.decode(row[22] or "[]")), children=tuple(row[23] or ()),
    )  # fmt: skip


def _values(a: Artifact) -> list[Any]:
    said = _Said(a.title, a.sha256, a.chart)
    return [
        a.artifact_id, _naive(a.created_at), a.customer, a.org_id, a.kind, a.row_count, a.column_count,
        _json(a.sample), _json({"columns": a.columns}), _json(a.row_group_bytes), a.bytes,
        a.place.url, a.place.bucket, a.place.key, "STANDARD" if a.place.bucket else None, a.bytes,
        a.query_id, a.query_id and f"cdesk:{a.query_id}", _json(said), a.expires_at and _naive(a.expires_at),
        a.version, a.parent_artifact_id,
    ]  # fmt: skip


def _place(url: str | None, bucket: str | None, key: str | None) -> Place:
    return Place(url or "", bucket, key or "")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
