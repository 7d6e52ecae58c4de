"""How the catalog is written: a family declares its activities, an activity its features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "integer", "number", "boolean", "object", "array", "any"]
Privacy = Literal["public", "internal", "personal", "content"]
"""public: safe anywhere · internal: about the work · personal: about a person · content: what was said or written"""

Rule = Literal["largest", "usage", "totals"]
"""How two observations of one feature by one source meet; every rule forgets order and repetition.

largest: the larger value (numbers, then length of text, then text) · usage: the whole group from the response
line that wins by ccusage's rule · totals: the whole group from the longest-running snapshot of a session
"""


@dataclass(frozen=True, slots=True)
class Feature:
    """One key of `feature_json`. `prefer` lists sources, best first; those not named follow in usual order."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    privacy: Privacy = "internal"
    required: bool = False
    rule: Rule = "largest"
    prefer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declaration:
    """One activity. `aliases` are the original system's names, mapped here by migration."""

    activity: str
    meaning: str
    features: tuple[Feature, ...]
    aliases: tuple[str, ...] = ()
    schema_version: str = "2.0"


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    view: str
    activities: tuple[Declaration, ...]


F = Feature

COMMON: tuple[Feature, ...] = (
    F("project_path", "string", "folder the session worked in"),
    F("git_branch", "string", "branch checked out then"),
    F("cli_version", "string", "Claude Code's version", privacy="public"),
    F("agent_id", "string", "subagent that did it; null in the main thread", privacy="public"),
    F("is_sidechain", "boolean", "done outside the main thread", privacy="public"),
)
"""Every activity of a Claude Code session carries these."""
