"""What an artifact is: a row of ARTIFACTS that describes it, and a Parquet file that holds all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, get_args

import msgspec

from cdesk.activity.model import JSON

Kind: TypeAlias = Literal["query_result", "visualization", "report", "export"]
Form: TypeAlias = Literal["json", "csv", "parquet", "arrow", "markdown", "html", "svg"]
"""What its content can be had as; svg is its chart."""
FORMS: tuple[Form, ...] = get_args(Form)
DAYS = 90
"""An artifact expires after so many, unless it is pinned or held."""


class Column(msgspec.Struct, frozen=True):
    """type: SQL's name of it · nullable: whether there are nulls, None: found out when it is kept
    precision: digits of a decimal · unit: such as "USD", "ms", "rows" """

    name: str
    type: str
    nullable: bool | None = None
    precision: int | None = None
    unit: str | None = None


class Chart(msgspec.Struct, frozen=True):
    """How it is best drawn: names of columns; series: one line or colour for each of its values"""

    kind: Literal["bar", "line"]
    x: str
    y: str
    series: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Where the content is. bucket: None in this home's own folder · key: its name there"""

    url: str
    bucket: str | None
    key: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact in short.

    bytes              of the Parquet file
    sha256             of the Parquet file, hex
    query_id           the question it answers: cite it as cdesk:<query_id>
    is_held            a legal hold forbids to delete it
    access_count       how often it was paged through or downloaded
    version            1, or one more than that of its parent
    """

    artifact_id: str
    created_at: datetime
    customer: str
    org_id: str | None
    kind: Kind
    title: str
    row_count: int
    column_count: int
    bytes: int
    sha256: str
    query_id: str | None
    expires_at: datetime | None
    is_pinned: bool
    is_held: bool
    access_count: int
    last_accessed_at: datetime | None
    version: int
    parent_artifact_id: str | None
    place: Place


class Artifact(Listed, frozen=True, kw_only=True):
    """columns: what its content holds, in order · sample: the first rows, long texts cut
    row_group_bytes: of each part that can be read by itself, compressed · chart: how it is drawn, if it is
    children: artifacts made from it"""

    columns: tuple[Column, ...]
    sample: list[list[JSON]]
    row_group_bytes: tuple[int, ...]
    chart: Chart | None
    children: tuple[str, ...]


class Page(msgspec.Struct, frozen=True):
    """Some rows in order. offset: of the first, from 0 · cursor: of the next page, None after the last"""

    artifact_id: str
    columns: tuple[Column, ...]
    rows: list[list[JSON]]
    offset: int
    row_count: int
    cursor: str | None
