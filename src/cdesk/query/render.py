"""An artifact in the form somebody wants it: JSON, CSV, Parquet, Arrow, Markdown, HTML or a chart.

The content never changes, so a rendering has a name of its own (its ETag): the SHA-256 of the content, the form, and
RENDERING, which grows whenever a form is written differently. Values are as query/cells.py writes them; rows go through
in order, a few in memory at a time.

Texts are somebody else's: in CSV, those that a spreadsheet would take for a formula begin with an apostrophe; in
Markdown and HTML, nothing in them is markup.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec

from cdesk.activity.model import JSON
from cdesk.artifact.artifacts import Artifacts
from cdesk.artifact.model import FORMS, Artifact, Form
from cdesk.errors import ArtifactError, UsageError
from cdesk.query.cells import text
from cdesk.query.chart import drawn

RENDERING = 1
MEDIA_TYPES: dict[Form, str] = {
    "json": "application/json", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream", "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8", "svg": "image/svg+xml",
}  # fmt: skip
ENDINGS: dict[Form, str] = {"markdown": "md", "arrow": "arrows"}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&$#])")


@dataclass(frozen=True, slots=True)
class Rendering:
    """content: open at its beginning, closed by who takes it · size: bytes · tag: its ETag, with quotes"""

    content: IO[bytes]
    size: int
    tag: str
    media_type: str
    file_name: str


def form(name: str) -> Form:
    """Raises UsageError for one there is not."""
    if name not in FORMS:
        raise UsageError(f"there is no format {name[:40]!r}.", f"There are: {', '.join(FORMS)}.")
    return name


def tag(artifact: Artifact, form: Form) -> str:
    return f'"{artifact.sha256[:32]}-{form}-{RENDERING}"'


def rendered(artifacts: Artifacts, artifact: Artifact, form: Form) -> Rendering:
    """Raises ContentMissing, and UsageError for the chart of one that has none."""
    if form == "parquet":
        content: IO[bytes] = _opened(artifacts.file(artifact))
    else:
        content = _written(artifacts, artifact, form)
    size = content.seek(0, io.SEEK_END)
    content.seek(0)
    name = f"{_plain_name(artifact.title) or artifact.artifact_id}.{ENDINGS.get(form, form)}"
    return Rendering(content, size, tag(artifact, form), MEDIA_TYPES[form], name)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise ArtifactError(f"cannot read {path.name}: {error.strerror}.", "Ask its question again.") from None


def _written(artifacts: Artifacts, artifact: Artifact, form: Form) -> IO[bytes]:
    """Into a file without a name, so that its size is known before the first byte is sent."""
    try:
        content = TemporaryFile(dir=artifacts.folder)  # noqa: SIM115 -- closed by who takes it
        try:
            if form == "arrow":
                artifacts.arrow(artifact, content)
            else:
                rows = artifacts.rows(artifact)
                for part in _WRITERS[form](artifact, rows):
                    content.write(part.encode("utf-8", "replace"))
            content.flush()
        except BaseException:
            content.close()
            raise
        return content
    except OSError as error:
        raise ArtifactError(f"cannot write it as {form}: {error.strerror}.", "See that there is disk space.") from None


# -- forms ---------------------------------------------------------------------------------------------------------


def _json(artifact: Artifact, rows: Iterator[list[JSON]]) -> Iterator[str]:
    """`{"artifact_id", "query_id", "columns": […], "rows": [[…], …]}`, a row a line."""
    told = {"artifact_id": artifact.artifact_id, "query_id": artifact.query_id, "columns": artifact.columns}
    yield msgspec.json.encode(told).decode()[:-1] + ',"rows":['
    between = "\n"
    for row in rows:
        yield between + msgspec.json.encode(row).decode()
        between = ",\n"
    yield "\n]}\n"


def _csv(artifact: Artifact, rows: Iterator[list[JSON]]) -> Iterator[str]:
    """RFC 4180: a heading, lines that end in CR LF; null is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([_no_formula(column.name) for column in artifact.columns])
    figures = [is_figure(column.type) for column in artifact.columns]
    for row in rows:
        writer.writerow([v if is_sum else _csv_cell(v) for v, is_sum in zip(row, figures, strict=True)])
        if buffer.tell() > 65_536:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _csv_cell(value: JSON) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return _no_formula(msgspec.json.encode(value).decode())
    return _no_formula(value) if isinstance(value, str) else value


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _markdown(artifact: Artifact, rows: Iterator[list[JSON]]) -> Iterator[str]:
    yield f"# {_unmarked(artifact.title)}\n\n" if artifact.title else ""
    yield f"| {' | '.join(_unmarked(column.name) for column in artifact.columns)} |\n"
    yield f"|{'|'.join(' ---: ' if is_figure(column.type) else ' --- ' for column in artifact.columns)}|\n"
    for row in rows:
        yield f"| {' | '.join(_unmarked(text(value)) for value in row)} |\n"
    yield f"\n{_source(artifact)}\n"


def _unmarked(words: str) -> str:
    return " ".join(_MARKUP.sub(r"\\\1", words).split())


_HTML_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{{font:14px/1.4 system-ui,sans-serif;margin:2rem}}table{{border-collapse:collapse}}\
th,td{{border:1px solid #ccc;padding:.25rem .5rem;text-align:left;vertical-align:top}}\
td.n,th.n{{text-align:right;font-variant-numeric:tabular-nums}}</style></head>
<body><h1>{title}</h1>
<table><thead><tr>{headings}</tr></thead><tbody>
"""


def _html(artifact: Artifact, rows: Iterator[list[JSON]]) -> Iterator[str]:
    marks = [' class="n"' if is_figure(column.type) else "" for column in artifact.columns]
    headings = "".join(
        f"<th{mark}>{html.escape(column.name)}</th>" for mark, column in zip(marks, artifact.columns, strict=True)
    )
    yield _HTML_HEAD.format(title=html.escape(artifact.title or artifact.artifact_id), headings=headings)
    for row in rows:
        cells = "".join(f"<td{mark}>{html.escape(text(value))}</td>" for mark, value in zip(marks, row, strict=True))
        yield f"<tr>{cells}</tr>\n"
    yield f"</tbody></table><p>{html.escape(_source(artifact))}</p></body></html>\n"


def _svg(artifact: Artifact, rows: Iterator[list[JSON]]) -> Iterator[str]:
    yield drawn(artifact, rows)


_WRITERS: dict[Form, Callable[[Artifact, Iterator[list[JSON]]], Iterator[str]]] = {
    "json": _json, "csv": _csv, "markdown": _markdown, "html": _html, "svg": _svg,
}  # fmt: skip


def is_figure(type_: str) -> bool:
    return (
        bool(re.match(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$|FLOAT|DOUBLE|DECIMAL|INTERVAL", type_)) and "[" not in type_
    )


def _source(artifact: Artifact) -> str:
    rests_on = f", from cdesk:{artifact.query_id}" if artifact.query_id else ""
    return f"{artifact.row_count:,} rows. artifact:{artifact.artifact_id}{rests_on}"


def _plain_name(title: str) -> str:
    """For the name of a file, whatever system it lands on."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
