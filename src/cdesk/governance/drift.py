"""What happens to activities that leave the catalog's shape, as a person decided for each family.

[drift]
default = "additive"     what holds for a family that is not named
llm = "strict"           sql, llm, tool, file, session, mcp, insight, system; unknown: names that no family has

                        additive               strict                 frozen
    new key             kept, and taken up     set aside              set aside, cannot be accepted
    inconsistent type   kept                   set aside              set aside, cannot be accepted
    too many keys       kept                   set aside              set aside, cannot be accepted
    unknown activity    kept, and taken up     set aside              set aside, cannot be accepted
    wrong type          set aside              set aside              set aside, cannot be accepted
    missing key         set aside              set aside              set aside, cannot be accepted
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from cdesk.activity.contract import DriftKind

Policy = Literal["additive", "strict", "frozen"]
Severity = Literal["info", "warning", "error"]
IncidentKind: TypeAlias = DriftKind | Literal["too_many_keys", "too_many_activities"]

UNKNOWN = "unknown"

_BREAKING: frozenset[IncidentKind] = frozenset({"wrong_type", "missing_key"})
_TAKEN_UP: frozenset[IncidentKind] = frozenset({"new_key", "unknown_activity"})


class DriftPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[drift]` of config.toml."""

    default: Policy = "additive"
    sql: Policy | None = None
    llm: Policy | None = None
    tool: Policy | None = None
    file: Policy | None = None
    session: Policy | None = None
    mcp: Policy | None = None
    insight: Policy | None = None
    system: Policy | None = None
    unknown: Policy = "additive"

    def of(self, family: str) -> Policy:
        """`family`: one of the families, or `unknown`."""
        policy: Policy | None = getattr(self, family)
        return policy or self.default


def is_kept(policy: Policy, kind: IncidentKind) -> bool:
    """Whether the row goes into the stream all the same; else it is set aside."""
    return policy == "additive" and kind not in _BREAKING


def is_taken_up(policy: Policy, kind: IncidentKind) -> bool:
    """Whether the catalog of this home grows by it without asking."""
    return policy == "additive" and kind in _TAKEN_UP


def is_news(policy: Policy, kind: IncidentKind) -> bool:
    """Whether the stream hears of it. A name of one's own that is welcome is an incident to look up, not an event."""
    return not (kind == "unknown_activity" and is_taken_up(policy, kind))


def severity(policy: Policy, kind: IncidentKind) -> Severity:
    """error: rows are set aside · warning: somebody should look · info: nothing to do"""
    if not is_kept(policy, kind):
        return "error"
    return "info" if is_taken_up(policy, kind) else "warning"
