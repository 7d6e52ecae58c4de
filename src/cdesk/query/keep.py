"""Keeps a recorded answer as an artifact: what a question gave, with its columns' units, its chart and its citation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from cdesk.activity.model import Person
from cdesk.artifact.artifacts import Artifacts
from cdesk.artifact.model import Artifact, Chart, Column
from cdesk.errors import UsageError
from cdesk.query.ask import Recorded, Sampled
from cdesk.query.template import Template
from cdesk.warehouse.warehouse import Answer

_TYPES = {"integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "day": "DATE", "time": "TIMESTAMP"}
_LOOKS: dict[str, Literal["bar", "line"]] = {"bars": "bar", "line": "line"}


def kept(artifacts: Artifacts, recorded: Recorded, template: Template, person: Person) -> Artifact:
    """The artifact that already answers it, else a new one. Raises UsageError for an answer of which only the first
    rows were recorded, and whatever `Artifacts.keep` does."""
    known = artifacts.latest(1, recorded.query_id)
    if known:
        return artifacts.get(known[0].artifact_id)
    if recorded.row_count > len(recorded.answer_rows):
        raise UsageError("only the first rows of this answer were recorded.", "Ask the question again.")
    columns = [Column(c.name, _TYPES.get(c.type, "VARCHAR"), unit=c.unit) for c in recorded.answer_columns]
    return _keep(artifacts, template, columns, recorded.answer_rows, recorded.query_id, recorded.sample, person)


def whole(artifacts: Artifacts, template: Template, answer: Answer, sample: Sampled | None, person: Person) -> Artifact:
    """All rows of an answer that is too long to be recorded."""
    units = {column.name: column.unit for column in template.columns}
    columns = [
        Column(name, type_, unit=units.get(name)) for name, type_ in zip(answer.columns, answer.types, strict=True)
    ]
    return _keep(artifacts, template, columns, answer.rows, answer.query_id, sample, person)


def _keep(
    artifacts: Artifacts, template: Template, columns: Sequence[Column], rows: Sequence[Sequence[Any]], query_id: str,
    sample: Sampled | None, person: Person,
) -> Artifact:  # fmt: skip
    """A sample says so in its title, wherever that is read."""
    title = template.title if sample is None else f"{template.title} ({sample.watermark})"
    return artifacts.keep(
        "query_result", columns, rows, query_id=query_id, title=title, customer=person.customer, org_id=person.org_id,
        chart=_chart(template),
    )  # fmt: skip


def _chart(template: Template) -> Chart | None:
    hint = template.chart
    if hint is None or hint.kind not in _LOOKS or hint.x is None or hint.y is None:
        return None
    return Chart(_LOOKS[hint.kind], hint.x, hint.y, hint.series)
