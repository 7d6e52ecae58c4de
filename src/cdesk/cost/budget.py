"""What a day in Snowflake may cost, and how the day stands to that.

    spent     0 ────────────── soft ────────── budget ──▶
    level        ok             soft: told       hard: loading pauses, the queue holds

Dollars here are what the team's warehouses in Snowflake cost. What Claude costs is `usage`, and has a budget of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["ok", "soft", "hard"]


class Budget(msgspec.Struct, frozen=True):
    """usd_per_day: what a UTC day may cost; None: no limit · soft_share: from which part of it somebody is told"""

    usd_per_day: float | None
    soft_share: float

    def level(self, usd: float) -> Level:
        if self.usd_per_day is None or usd < self.usd_per_day * self.soft_share:
            return "ok"
        return "soft" if usd < self.usd_per_day else "hard"


class Standing(msgspec.Struct, frozen=True):
    """One day's spending, when it was last read. day: UTC · usd: all of it · estimated_usd: the part of it that Snowflake's
    meter has not told yet, estimated from what ran"""

    day: str
    usd: float
    estimated_usd: float
    as_of: datetime
