"""What today has cost the person of this machine: one small file that the service writes and the status line reads.

    today.json    {"customer":"ada@example.org","day":"2026-11-28","cost_usd":4.2,"unpriced":0,"as_of":1795860000.0}

It is read after every message, so reading it loads nothing but `json`. A lost file is written anew with the next change.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

BYTES_MAX = 4_096


class Today(NamedTuple):
    """day: as the machine's calendar names it · cost_usd: None when nothing has a price · unpriced: responses without one
    as_of: when it was asked, Unix seconds · budget_usd: what a day may cost, where the person set it"""

    customer: str
    day: str
    cost_usd: float | None
    unpriced: int
    as_of: float
    budget_usd: float | None = None


def keep(path: Path, today: Today, budget_usd: float | None = None) -> None:
    """Raises OSError."""
    from cdesk.context.whole import replace

    replace(path, json.dumps(today._replace(budget_usd=budget_usd)._asdict()).encode())


def read(path: str) -> Today | None:
    """None when there is none that can be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            found = Today(**json.loads(file.read(BYTES_MAX)))
    except (OSError, ValueError, TypeError):
        return None
    dollars = found.cost_usd, found.budget_usd
    is_number = all(isinstance(each, float | int | None) for each in dollars) and isinstance(found.as_of, float | int)
    is_whole = isinstance(found.customer, str) and isinstance(found.day, str) and isinstance(found.unpriced, int)
    return found if is_number and is_whole else None
