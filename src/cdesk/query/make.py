"""Keeps the whole answer to a question in SQL as an artifact."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cdesk.activity.model import Person
from cdesk.artifact.artifacts import Artifacts
from cdesk.artifact.model import Artifact, Chart, Column
from cdesk.errors import QueryRefused
from cdesk.query.guard import guarded
from cdesk.query.sample import Sample
from cdesk.warehouse.warehouse import Answer, Execution, Warehouse

ROWS_MAX = 200_000
SECONDS_MAX = 60.0


class MakeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """sql: one read-only SELECT · chart: how it is drawn · parent: the artifact it is a new version of"""

    sql: str
    title: str = ""
    chart: Chart | None = None
    parent: str | None = None


def make(
    warehouse: Warehouse,
    artifacts: Artifacts,
    asked: MakeRequest,
    person: Person,
    query_id: Callable[[], str],
    *,
    seconds_max: float = SECONDS_MAX,
    days: float | None = None,
    execution: Execution | None = None,
    sample: Sample | None = None,
) -> Artifact:
    """days: how long it is kept, where not as long as usual · execution: how another thread sees it
    sample: asked instead of all; the title says so, wherever that is read

    Raises QueryRefused for what may not be asked or has more than ROWS_MAX rows, and whatever `Artifacts.keep` does."""
    if asked.parent is not None:
        artifacts.get(asked.parent)
    answer = warehouse.ask(
        sample.sql if sample else guarded(asked.sql), query_id=query_id(), rows_max=ROWS_MAX + 1,
        seconds_max=seconds_max, execution=execution,
    )  # fmt: skip
    if len(answer.rows) > ROWS_MAX:
        raise QueryRefused(f"the answer has more than {ROWS_MAX:,} rows.", "Narrow it down, or sum it up.")
    title = f"{asked.title or 'A sample'} ({sample.watermark})" if sample else asked.title
    return artifacts.keep(
        "query_result", columns(answer), answer.rows, query_id=answer.query_id, title=title,
        customer=person.customer, org_id=person.org_id, parent=asked.parent, chart=asked.chart, days=days,
    )  # fmt: skip


def columns(answer: Answer) -> list[Column]:
    """As an answer names them; what is not known of them is found out when they are kept."""
    return [Column(name, type_) for name, type_ in zip(answer.columns, answer.types, strict=True)]
