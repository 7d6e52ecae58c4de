"""What `cdesk doctor` says about one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """remedy is empty when there is nothing to do"""

    level: Level
    subject: str
    finding: str
    remedy: str = ""
