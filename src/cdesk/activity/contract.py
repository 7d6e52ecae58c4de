"""The catalog as a contract: what an activity may say, what it must, and how one that says something else differs.

    check(activity, features)  ──▶ ()                    it keeps the contract; about a microsecond
                               ──▶ violations, one a key  else

    new_key             a key nobody declared
    inconsistent_type   an undeclared key that was taken up, and now comes with another kind of value than then
    wrong_type          a declared key with a value of another kind
    missing_key         a required key is not there, or null
    unknown_activity    a name the catalog does not know: no shape was promised, so none is asked for

Null fits every kind, integers are numbers, and a number without a fraction is an integer. The original system's names
for an activity (`aliases`) are known, but promise no shape either. Words that consent hashed fit the kind they had.

Additions are what this home took up beside the catalog: a key with its kind (`any` for every kind), a required key that
may be missing (`optional`), every further key of an activity (`*`), a name of its own (`activity`), every name (`*`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from cdesk.activity.catalog import CATALOG, FAMILIES
from cdesk.activity.catalog.shape import Declaration, Kind
from cdesk.activity.model import JSON, Features

DriftKind = Literal["new_key", "inconsistent_type", "wrong_type", "missing_key", "unknown_activity"]
AdditionKind: TypeAlias = Kind | Literal["optional", "activity"]

EVERY_ONE = "*"
HASHED = "[hashed:"
SIGNATURES_MAX = 4_096
"""Combinations of keys and types that are known to keep the contract: a few hundred occur, and one look-up settles them."""

_Signature: TypeAlias = tuple[str, tuple[str, ...], tuple[type, ...]]
_NULL = type(None)
_TYPES: dict[str, frozenset[type]] = {
    "string": frozenset({str}), "integer": frozenset({int}), "number": frozenset({int, float}),
    "boolean": frozenset({bool}), "object": frozenset({dict}), "array": frozenset({list}),
    "any": frozenset({str, int, float, bool, dict, list}),
}  # fmt: skip
_KINDS: dict[type, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array", _NULL: "null",
}  # fmt: skip

FAMILY_OF: Mapping[str, str] = {
    name: family.name for family in FAMILIES for d in family.activities for name in (d.activity, *d.aliases)
}


@dataclass(frozen=True, slots=True)
class Violation:
    """key: empty for an unknown activity · expected, actual: kinds of value, or what stands for them"""

    kind: DriftKind
    key: str
    expected: str
    actual: str


_UNKNOWN = (Violation("unknown_activity", "", "", ""),)


@dataclass(frozen=True, slots=True)
class Addition:
    """One thing that this home takes beside the catalog. key: empty for an activity's name."""

    activity: str
    key: str
    kind: AdditionKind


@dataclass(frozen=True, slots=True)
class _Shape:
    """kept: every (key, type of value) that keeps the contract"""

    kept: frozenset[tuple[str, type]]
    required: frozenset[str]
    kinds: dict[str, str]
    added: dict[str, str]
    words: frozenset[str]
    takes_every_key: bool

    def keeps(self, features: Features) -> bool:
        """By types alone, in one pass in C; what it lets through needs no second look."""
        pairs = zip(features, map(type, features.values()), strict=True)
        return self.required <= features.keys() and self.kept.issuperset(pairs)


class Contract:
    """Compiled once, asked for every event. `words_kept`: whether consent leaves what was said where it is."""

    def __init__(self, additions: Iterable[Addition] = (), *, words_kept: bool = True) -> None:
        by_activity: dict[str, list[Addition]] = {}
        for addition in additions:
            by_activity.setdefault(addition.activity, []).append(addition)
        self._shapes = {
            name: _shape(declaration, by_activity.get(name, ()), words_kept) for name, declaration in CATALOG.items()
        }
        self._free = frozenset(FAMILY_OF).union(by_activity) - frozenset(CATALOG)
        self._takes_every_name = EVERY_ONE in by_activity
        self._seen: set[_Signature] = set()
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}

    def keeps(self, activity: str, features: msgspec.Raw) -> bool:
        """Whether features that are still JSON text surely keep it; where not, `check` tells, of the decoded ones."""
        decoder = self._decoders.get(activity)
        if decoder is None:
            shape = self._shapes.get(activity)
            if shape is None:
                return self._takes_every_name or activity in self._free
            decoder = self._decoders[activity] = _decoder(shape)
        try:
            decoder.decode(features)
        except msgspec.DecodeError:
            return False
        return True

    def check(self, activity: str, features: Features) -> tuple[Violation, ...]:
        """What is not as agreed; () nearly always."""
        signature = (activity, tuple(features), tuple(map(type, features.values())))
        if signature in self._seen:
            return ()
        shape = self._shapes.get(activity)
        if shape is None:
            return () if self._takes_every_name or activity in self._free else _UNKNOWN
        if shape.keeps(features):
            self._remember(signature)
            return ()
        return tuple(_violations(shape, features))

    def _remember(self, signature: _Signature) -> None:
        if len(self._seen) >= SIGNATURES_MAX:
            self._seen.clear()
        self._seen.add(signature)


def kind_of(value: JSON) -> str:
    """string, integer, number, boolean, object, array or null."""
    return _KINDS[type(value)]


def addition_kinds(actual: str) -> tuple[AdditionKind, ...]:
    """The kinds to take up for what was seen (`integer, string`): a whole number today may have a fraction tomorrow."""
    found = {"number" if kind == "integer" else kind for kind in actual.split(", ")}
    return tuple(kind for kind in get_args(Kind) if kind in found) or ("any",)


def _shape(declaration: Declaration, additions: Iterable[Addition], words_kept: bool) -> _Shape:
    kinds = {feature.name: feature.kind for feature in declaration.features}
    required = {f.name for f in declaration.features if f.required and (words_kept or f.privacy != "content")}
    kept = {(name, kind) for name, declared in kinds.items() for kind in _TYPES[declared]}
    added: dict[str, str] = {}
    for addition in additions:
        if addition.kind == "optional":
            required.discard(addition.key)
        else:
            kept |= {(addition.key, kind) for kind in _TYPES[addition.kind]}
            added.setdefault(addition.key, addition.kind)
    kept |= {(name, _NULL) for name in {*kinds, *added} - required}
    words = frozenset(f.name for f in declaration.features if f.privacy == "content")
    return _Shape(frozenset(kept), frozenset(required), dict(kinds), added, words, EVERY_ONE in added)


_FIELDS: dict[str, Any] = {
    "string": str, "integer": int, "number": float, "boolean": bool, "object": dict[str, msgspec.Raw],
    "array": list[msgspec.Raw], "any": msgspec.Raw,
}  # fmt: skip


def _decoder(shape: _Shape) -> msgspec.json.Decoder[Any]:
    """Takes just what keeps the shape, and reads no further into a value than its kind."""
    kinds = {**shape.added, **shape.kinds}
    kinds.pop(EVERY_ONE, None)
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, (key, kind) in enumerate(sorted(kinds.items())):
        if not key.isidentifier():
            continue  # msgspec takes no name that JSON would escape: `check` looks at these
        name = f"f{number}"
        names[name] = key
        if key in shape.required:
            fields.append((name, _FIELDS[kind]))
        else:  # text that was not looked into may be null, too; msgspec takes no union of it
            fields.append((name, _FIELDS[kind] if kind == "any" else _FIELDS[kind] | None, None))
    made = msgspec.defstruct(
        "Shape", fields, rename=names, kw_only=True, forbid_unknown_fields=not shape.takes_every_key
    )
    return msgspec.json.Decoder(made)


def _violations(shape: _Shape, features: Features) -> Iterable[Violation]:
    for key in sorted(shape.required):
        if features.get(key) is None:
            yield Violation("missing_key", key, shape.kinds[key], "missing")
    for key, value in features.items():
        if value is None or (key, type(value)) in shape.kept:
            continue
        declared = shape.kinds.get(key)
        if declared is not None:
            if not _fits(declared, key in shape.words, value):
                yield Violation("wrong_type", key, declared, kind_of(value))
        elif not shape.takes_every_key:
            taken_up = shape.added.get(key)
            kind: DriftKind = "new_key" if taken_up is None else "inconsistent_type"
            yield Violation(kind, key, taken_up or "", kind_of(value))


def _fits(declared: str, is_words: bool, value: JSON) -> bool:
    """What the quick pass does not see: 2.0 is an integer, and hashed words were of the right kind once."""
    if declared == "integer" and isinstance(value, float):
        return value.is_integer()
    return is_words and isinstance(value, str) and value.startswith(HASHED)
