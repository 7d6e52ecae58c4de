"""When an appended activity is before, after or in between: whose rules, and what they say on equal times.

    default       before `<` · after `>` · in between `(ts, next]` · between before `[previous, ts)`
    narrator      the same; with a first or last primary, what comes after it is in between without end
    bcodell       in between `(ts, next)` · between before `(previous, ts)`: what falls on a primary row belongs to none
    tnightengale  last before `<=`; first before is the first of all unless it comes after the next primary row; the
                  sum of nothing is null

next and previous are times of the primary activity's rows after its filters; without one, nothing ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cdesk.dataset.definition import Append, Primary

Bounds: TypeAlias = Literal["default", "narrator", "bcodell", "tnightengale"]
BOUNDS: tuple[Bounds, ...] = ("default", "narrator", "bcodell", "tnightengale")


@dataclass(frozen=True, slots=True)
class Edge:
    """at: the primary row's own time, or that of its neighbour"""

    at: Literal["ts", "next_ts", "previous_ts"]
    is_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """The times in which a row is appended; without an edge it is open there."""

    begin: Edge | None = None
    end: Edge | None = None


def window(primary: Primary, append: Append, bounds: Bounds) -> Window:
    is_strict = bounds == "bcodell"
    match append.when:
        case "before" if bounds == "tnightengale" and append.pick == "first":
            return Window(end=Edge("next_ts", True))
        case "before":
            return Window(end=Edge("ts", bounds == "tnightengale" and append.pick == "last"))
        case "after":
            return Window(begin=Edge("ts"))
        case "in_between" if bounds == "narrator" and primary.occurrence.kind in ("first", "last"):
            return Window(begin=Edge("ts"))
        case "in_between":
            return Window(Edge("ts"), Edge("next_ts", not is_strict))
        case "between_before":
            return Window(Edge("previous_ts", not is_strict), Edge("ts"))
        case "ever":
            return Window()
