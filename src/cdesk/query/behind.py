"""Which activities a cell of an answer counts, where its question says how to find them.

They are looked for in the stream as it is now, with what was bound then: what was corrected or removed since shows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cdesk.errors import UsageError
from cdesk.query.ask import Recorded, engine
from cdesk.query.template import Template, compiled
from cdesk.warehouse.warehouse import Warehouse

ACTIVITIES_MAX = 1_000
SECONDS_MAX = 30.0


class Cell(msgspec.Struct, frozen=True):
    """row: from 1 · says: the whole row by column · activities: their ids, the latest first, ACTIVITIES_MAX at most"""

    row: int
    column: str
    value: Any
    says: dict[str, Any]
    activities: list[str]


def behind(
    warehouse: Warehouse, template: Template, recorded: Recorded, row: int, column: str | None, query_id: str
) -> Cell:
    """column: by default the first that counts something. Raises UsageError, QueryRefused."""
    if template.checksum != recorded.checksum:
        raise UsageError(f"{template.name} was changed since this answer.", "Ask it again.")
    if template.behind is None:
        raise UsageError(f"{template.name} does not say which activities are behind its cells.")
    names = [each.name for each in recorded.answer_columns]
    if not 1 <= row <= len(recorded.answer_rows):
        raise UsageError(f"the answer has no row {row}.", f"Its rows are 1 to {len(recorded.answer_rows)}.")
    chosen = column or _counting(recorded)
    if chosen not in names:
        raise UsageError(f"the answer has no column {chosen[:60]!r}.", f"It has: {', '.join(names)}.")
    says = dict(zip(names, recorded.answer_rows[row - 1], strict=True))
    values = {**dict(recorded.bound), **{f"row_{name}": value for name, value in says.items()}, "column": chosen}
    answer = warehouse.ask(
        compiled(template.behind), [engine(name, values[name]) for name in template.behind.names], query_id=query_id,
        rows_max=ACTIVITIES_MAX, seconds_max=SECONDS_MAX,
    )  # fmt: skip
    return Cell(row, chosen, says[chosen], says, [str(each[0]) for each in answer.rows])


def _counting(recorded: Recorded) -> str:
    return next(
        (each.name for each in recorded.answer_columns if each.type == "integer"), recorded.answer_columns[0].name
    )
