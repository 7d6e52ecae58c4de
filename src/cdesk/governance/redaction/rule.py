"""Turns the rule files shipped beside this package into frozen rules; the only I/O of the redaction chain.

File format (`governance/rules/*.json`), one object:
    source, commit, licence, changes   where the rules come from and what was changed
    macros   {name: pattern}, put in place of `{{name}}` inside patterns
    rules    [{name, pattern, entropy?, group?, keywords?, check?, gated?}]

pattern   RE2 syntax; group `group` (default: 1 if the pattern has groups, else 0) is the secret
entropy   Shannon bits per character the secret must exceed (0: no demand)
keywords  at least one must stand in the text, case ignored (none: no demand)
check     name of the extra test in `shape.CHECKS` that the match must pass
gated     true for a pattern that would bloat the joint automaton: it is tried only after one of its keywords was seen
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TypedDict

RULE_FILES = ("gitleaks.json", "cdesk.json")


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to recognise a secret. `rank` is its order: when two rules claim the same text, the lower one names it."""

    name: str
    pattern: str
    group: int
    entropy: float
    keywords: tuple[bytes, ...]
    check: str
    gated: bool
    rank: int


class _RuleData(TypedDict, total=False):
    name: str
    pattern: str
    group: int
    entropy: float
    keywords: list[str]
    check: str
    gated: bool


class _RuleFile(TypedDict):
    macros: dict[str, str]
    rules: list[_RuleData]


def load_rules() -> tuple[Rule, ...]:
    """All shipped rules in rank order: vendor shapes first, then names and places, generic shapes last."""
    found = [rule for name in RULE_FILES for rule in _rules_in(_read(name))]
    found.sort(key=lambda rule: rule.check in _LAST)
    return tuple(_ranked(found))


_LAST = ("generic", "assignment", "quoted")


def _ranked(rules: list[Rule]) -> Iterator[Rule]:
    for rank, rule in enumerate(rules):
        yield replace(rule, rank=rank)


def _read(name: str) -> _RuleFile:
    text = (files("cdesk.governance") / "rules" / name).read_text(encoding="utf-8")
    data: _RuleFile = json.loads(text)
    return data


def _rules_in(data: _RuleFile) -> Iterator[Rule]:
    for item in data["rules"]:
        pattern = item["pattern"]
        for name, macro in data["macros"].items():
            pattern = pattern.replace("{{" + name + "}}", macro)
        yield Rule(
            name=item["name"],
            pattern=pattern,
            group=item.get("group", -1),
            entropy=item.get("entropy", 0.0),
            keywords=tuple(word.lower().encode() for word in item.get("keywords", [])),
            check=item.get("check", ""),
            gated=item.get("gated", False),
            rank=0,
        )
