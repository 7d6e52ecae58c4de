"""A definition in words: shorter to write than its JSON, and the same.

    primary WHICH ACTIVITY clauses…            WHICH  all · first · last · nth(2) · every month [until max|current]
    append  PICK WHEN ACTIVITY clauses…        PICK   first · last · nth(2) · aggregate
                                               WHEN   ever · before · after · in between · between before
    show  COLUMN [as NAME], …                  of one row: name[:type] · of an aggregate: count(name), sum(name), …
    where NAME[:type] = 'text' and …           rows are numbered after it
    join  NAME = primary.NAME and …            which of these rows fit a primary row

A NAME is a column of the stream, else a feature; `feature.ts` is the feature that is called as a column is. Names with
other than letters, digits and _ stand in double quotes, texts in single ones, either doubled within itself. What is
compared with a number or a truth value is read as one. Lines mean nothing; `--` begins a comment.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from cdesk.dataset.definition import (
    AGGREGATES,
    COLUMNS,
    COMPARISONS,
    Append,
    Column,
    Condition,
    Definition,
    Occurrence,
    Operand,
    Primary,
    Scalar,
    checked,
    decoded,
    nearest,
)  # fmt: skip
from cdesk.errors import UsageError

TEXT_CHARACTERS_MAX = 200_000
NUMBER_CHARACTERS_MAX = 40
_TOKEN = re.compile(
    r"""(?P<space>(?:\s|--[^\n]*)+)|(?P<name>[A-Za-z_]\w*)|"(?P<quoted>(?:[^"]|"")*)"|'(?P<text>(?:[^']|'')*)'"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<sign><=|>=|<>|!=|==|[=<>(),.:])"""
)
_CLAUSES = ("where", "join", "show")
_INTERVALS = ("day", "week", "month", "quarter", "year")


def read(text: str) -> Definition:
    """A checked definition from its words or its JSON. Raises UsageError."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise UsageError(f"a definition has at most {TEXT_CHARACTERS_MAX:,} characters, not {len(text):,}.")
    return decoded(text) if text.lstrip()[:1] == "{" else checked(_Words(text).definition())


class _Words:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0

    def definition(self) -> Definition:
        self._expect("primary")
        occurrence = self._occurrence()
        activity, clauses = self._name("an activity"), self._clauses()
        if clauses["join"]:
            self._fail("join belongs to an append")
        primary = Primary(activity, occurrence, clauses["where"], clauses["show"])
        appended = []
        while self._take("append"):
            appended.append(self._append())
        if self._kind() != "end":
            self._fail("append, where, join or show is missing here")
        return Definition(primary, tuple(appended))

    def _occurrence(self) -> Occurrence:
        match self._word("all", "first", "last", "nth", "every"):
            case "nth":
                return Occurrence(kind="nth", n=self._count())
            case "every":
                interval: Any = self._word(*_INTERVALS)
                end: Any = self._word("max", "current") if self._take("until") else "max"
                return Occurrence(kind="time_spine", interval=interval, end_period=end)
            case kind:
                return Occurrence(kind=kind)  # type: ignore[arg-type]

    def _append(self) -> Append:
        pick = self._word("first", "last", "nth", "aggregate")
        n = self._count() if pick == "nth" else None
        when = self._word("ever", "before", "after", "in", "between", "in_between", "between_before")
        if when == "in":
            self._expect("between")
            when = "in_between"
        elif when == "between":
            self._expect("before")
            when = "between_before"
        activity, clauses = self._name("an activity"), self._clauses()
        return Append(activity, f"{pick}_{when}", n, clauses["where"], clauses["join"], clauses["show"])

    def _clauses(self) -> dict[str, Any]:
        found: dict[str, tuple[Any, ...]] = dict.fromkeys(_CLAUSES, ())
        while self._kind() == "name" and self._value().lower() in _CLAUSES:
            clause = self._next().lower()
            read_one, separator = (self._column, ",") if clause == "show" else (self._condition, "and")
            found[clause] += (read_one(),)
            while self._take(separator):
                found[clause] += (read_one(),)
        return found

    def _column(self) -> Column:
        aggregate, delimiter = None, "\n"
        if self._kind() == "name" and self._kind(1) == "sign" and self._value(1) == "(":
            aggregate = self._next().lower()
            if aggregate not in AGGREGATES:
                raise UsageError(f"there is no aggregate {aggregate[:60]!r}.", nearest(aggregate, AGGREGATES))
            self._expect("(")
        source = self._reference()
        if aggregate is not None:
            if self._take(","):
                delimiter = self._text_literal()
            self._expect(")")
        name = self._name("a name") if self._take("as") else ""
        return Column(source.column, source.feature, name, source.type, aggregate, delimiter)

    def _condition(self) -> Condition:
        left = self._reference()
        if self._take("is"):
            op = "is not null" if self._take("not") else "is null"
            self._expect("null")
            return Condition(op, left)
        if self._kind() == "name" and self._value().lower() in ("in", "not"):
            op = "not in" if self._take("not") else "in"
            self._expect("in")
            literals = self._list()
            return Condition(op, _typed(left, literals[0]), Operand(literal=literals))
        op = (
            self._next()
            if self._kind() == "sign" and self._value() in COMPARISONS
            else self._fail("a comparison is missing")
        )
        if self._is_literal():
            literal = self._literal()
            return Condition(op, _typed(left, literal), Operand(literal=literal))
        return Condition(op, left, self._reference())

    def _list(self) -> list[Scalar]:
        self._expect("(")
        found = [self._literal()]
        while self._take(","):
            found.append(self._literal())
        self._expect(")")
        return found

    def _reference(self) -> Operand:
        side, is_feature = None, False
        while self._kind() == "name" and self._kind(1) == "sign" and self._value(1) == ".":
            prefix: Any = self._word("primary", "appended", "feature")
            self._expect(".")
            if prefix == "feature":
                is_feature = True
                break
            side = prefix
        is_quoted = self._kind() == "quoted"
        name = self._name("a column or feature")
        is_column = name in COLUMNS and not is_feature and not is_quoted
        kind = self._next().lower() if self._take(":") and self._kind() == "name" else ""
        return Operand(side, name if is_column else None, None if is_column else name, kind)

    def _is_literal(self) -> bool:
        is_word = self._kind() == "name" and self._value().lower() in ("true", "false") and self._value(1) != "."
        return self._kind() in ("text", "number") or is_word

    def _literal(self) -> Scalar:
        match self._kind():
            case "text":
                return self._text_literal()
            case "number":
                text = (
                    self._next()
                    if len(self._value()) <= NUMBER_CHARACTERS_MAX
                    else self._fail("a shorter number is missing")
                )
                return int(text) if text.lstrip("-").isdigit() else float(text)
            case "name" if self._value().lower() in ("true", "false"):
                return self._next().lower() == "true"
        return self._fail("a text, number, true or false is missing")

    def _text_literal(self) -> str:
        return self._next() if self._kind() == "text" else self._fail("a text in single quotes is missing")

    def _count(self) -> int:
        self._expect("(")
        text = (
            self._next() if self._kind() == "number" and self._value().isdigit() else self._fail("a number is missing")
        )
        self._expect(")")
        return int(text[:18])

    # -- tokens ------------------------------------------------------------------------------------------------

    def _kind(self, ahead: int = 0) -> str:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)][0]

    def _value(self, ahead: int = 0) -> str:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)][1]

    def _next(self) -> str:
        value = self._value()
        self._at += 1
        return value

    def _take(self, word: str) -> bool:
        is_there = self._kind() in ("name", "sign") and self._value().lower() == word
        self._at += is_there
        return is_there

    def _expect(self, word: str) -> None:
        if not self._take(word):
            self._fail(f"{word!r} is missing")

    def _word(self, *words: str) -> str:
        if self._kind() == "name" and self._value().lower() in words:
            return self._next().lower()
        return self._fail(f"one of {', '.join(words)} is missing")

    def _name(self, what: str) -> str:
        return self._next() if self._kind() in ("name", "quoted") else self._fail(f"{what} is missing")

    def _fail(self, what: str) -> NoReturn:
        kind, value, begin = self._tokens[min(self._at, len(self._tokens) - 1)]
        line = self._text.count("\n", 0, begin) + 1
        found = "at the end" if kind == "end" else f"before {value[:40]!r} in line {line}"
        raise UsageError(f"the dataset cannot be read: {what} {found}.", "docs/dataset.md shows how it is written.")


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """Kind, value and place of each, with one for the end."""
    found, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise UsageError(f"the dataset cannot be read from {text[at : at + 20]!r} on.", "Is a quote left open?")
        kind = token.lastgroup or ""
        if kind != "space":
            value = token[kind]
            found.append((kind, value.replace('""', '"') if kind == "quoted" else value.replace("''", "'"), at))
        at = token.end()
    return [*found, ("end", "", len(text))]


def _typed(left: Operand, literal: Scalar) -> Operand:
    """A feature is read as what it is compared with, unless it says otherwise."""
    if left.type or left.column is not None or isinstance(literal, str):
        return left
    kind = "boolean" if isinstance(literal, bool) else "number"
    return Operand(left.side, left.column, left.feature, kind)
