"""What may be known about each activity: the contract between capture, warehouse and everyone who asks.

One file per event family. Every row of an activity has all its feature keys; unknown ones are null. Unknown
activities are welcome (the stream is open); they simply have no promised shape.
"""

from __future__ import annotations

from cdesk.activity.catalog.file import FILE
from cdesk.activity.catalog.insight import INSIGHT
from cdesk.activity.catalog.llm import LLM
from cdesk.activity.catalog.mcp import MCP
from cdesk.activity.catalog.session import SESSION
from cdesk.activity.catalog.shape import COMMON, Declaration, Family, Feature
from cdesk.activity.catalog.sql import SQL
from cdesk.activity.catalog.system import SYSTEM
from cdesk.activity.catalog.tool import TOOL
from cdesk.activity.model import JSON, Features

FAMILIES: tuple[Family, ...] = (SQL, LLM, TOOL, FILE, SESSION, MCP, INSIGHT, SYSTEM)
CATALOG: dict[str, Declaration] = {d.activity: d for family in FAMILIES for d in family.activities}

_EMPTY: dict[str, dict[str, JSON]] = {
    name: {feature.name: None for feature in declaration.features} for name, declaration in CATALOG.items()
}

__all__ = ["CATALOG", "COMMON", "FAMILIES", "Declaration", "Family", "Feature", "complete"]


def complete(activity: str, features: Features) -> Features:
    """The features with every declared key present. Keys the catalog does not know are kept."""
    empty = _EMPTY.get(activity)
    return features if empty is None else {**empty, **features}
