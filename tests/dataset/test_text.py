"""Words and JSON mean the same; what is wrong is said in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdesk.dataset import read
from cdesk.dataset.definition import converted
from cdesk.errors import UsageError

WORDS = """
-- what followed the first visit from a search
primary first "visited page"
  where referrer_url in ('google.com', 'o''hare') and seconds > 1.5 and is_new = true and feature.ts is not null
  show activity_id, customer as customer_id, referrer_url
append nth(2) in between visited
  where color = 'red'
  join amount:integer >= primary.amount:integer and primary.link is null
  show ts as second_at, feature.link, "odd ""name"" x":json as odd
append aggregate between before bought
  show count(activity_id) as bought, listagg(color, ', '), sum(amount:integer)
"""
JSON: dict[str, Any] = {
    "primary": {
        "activity": "visited page", "occurrence": {"kind": "first"},
        "filters": [
            {"op": "in", "left": {"feature": "referrer_url"}, "right": {"literal": ["google.com", "o'hare"]}},
            {"op": ">", "left": {"feature": "seconds", "type": "number"}, "right": {"literal": 1.5}},
            {"op": "=", "left": {"feature": "is_new", "type": "boolean"}, "right": {"literal": True}},
            {"op": "is not null", "left": {"feature": "ts"}},
        ],
        "columns": [{"column": "activity_id"}, {"column": "customer", "as": "customer_id"}, {"feature": "referrer_url"}],
    },
    "appended": [
        {
            "activity": "visited", "relationship": "nth_in_between", "n": 2,
            "filters": [{"op": "=", "left": {"feature": "color"}, "right": {"literal": "red"}}],
            "join_conditions": [
                {"op": ">=", "left": {"feature": "amount", "type": "integer"},
                 "right": {"side": "primary", "feature": "amount", "type": "integer"}},
                {"op": "is null", "left": {"side": "primary", "column": "link"}},
            ],
            "columns": [{"column": "ts", "as": "second_at"}, {"feature": "link"},
                        {"feature": 'odd "name" x', "type": "json", "as": "odd"}],
        },
        {
            "activity": "bought", "relationship": "aggregate_between_before",
            "columns": [{"column": "activity_id", "aggregate": "count", "as": "bought"},
                        {"feature": "color", "aggregate": "listagg", "delimiter": ", "},
                        {"feature": "amount", "type": "integer", "aggregate": "sum"}],
        },
    ],
}  # fmt: skip


def test_words_mean_what_the_json_means() -> None:
    assert read(WORDS) == read(json.dumps(JSON)) == converted({"definition": JSON, "dialect": "bcodell"})
    spine = {"kind": "time_spine", "interval": "month", "end_period": "current"}
    assert read("PRIMARY every MONTH until current a SHOW ts") == converted(
        {"primary": {"activity": "a", "occurrence": spine, "columns": [{"column": "ts"}]}}
    )


_COLUMN = {"column": "ts"}
_ONE: dict[str, Any] = {"primary": {"activity": "a", "columns": [_COLUMN]}}


def _appending(**more: Any) -> dict[str, Any]:
    return {**_ONE, "appended": [{"activity": "b", "relationship": "first_ever", "columns": [], **more}]}


def _filtering(op: str, left: dict[str, Any], **right: Any) -> dict[str, Any]:
    return {"primary": {"activity": "a", "columns": [_COLUMN], "filters": [{"op": op, "left": left, **right}]}}


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "not JSON"),
    "unknown key": ({"primary": {"activity": "a", "filtres": []}}, "filtres"),
    "no columns": ({"primary": {"activity": "a"}}, "columns"),
    "relationship": (_appending(relationship="first_afer"), "'first_after'"),
    "nth without n": (_appending(relationship="nth_ever"), "wants n"),
    "nth of none": (_appending(relationship="nth_ever", n=0), "wants n"),
    "spine without interval": ({"primary": {"activity": "a", "occurrence": {"kind": "time_spine"}, "columns": [_COLUMN]}},
                               "interval"),
    "spine's feature": ({"primary": {"activity": "a", "occurrence": {"kind": "time_spine", "interval": "day"},
                                     "columns": [{"feature": "x"}]}}, "time spine has no 'x'"),
    "unknown column": ({"primary": {"activity": "a", "columns": [{"column": "custommer"}]}}, "'customer'"),
    "neither": ({"primary": {"activity": "a", "columns": [{"as": "x"}]}}, "not both"),
    "twice": ({"primary": {"activity": "a", "columns": [_COLUMN, {"feature": "x", "as": "TS"}]}}, "two columns"),
    "no name": ({"primary": {"activity": "a", "columns": [{"feature": "x" * 256}]}}, "255"),
    "type": ({"primary": {"activity": "a", "columns": [{"feature": "x", "type": "integr"}]}}, "'integer'"),
    "aggregate of one row": (_appending(columns=[{"column": "ts", "as": "x", "aggregate": "count"}]), "one row"),
    "one row of an aggregate": (_appending(relationship="aggregate_ever", columns=[{"column": "ts", "as": "x"}]), "count"),
    "aggregate": (_appending(relationship="aggregate_ever", columns=[{"column": "ts", "as": "x", "aggregate": "median"}]),
                  "no aggregate"),
    "sum of a time": (_appending(relationship="aggregate_ever", columns=[{"column": "ts", "as": "x", "aggregate": "sum"}]),
                      "sum of ts"),
    "op": (_filtering("like", {"column": "link"}, right={"literal": "x"}), "There are: ="),
    "literal left": (_filtering("=", {"literal": 1}, right={"literal": 1}), "left"),
    "null": (_filtering("=", {"column": "link"}, right={"literal": None}), "is null"),
    "number as text": (_filtering("=", {"feature": "x"}, right={"literal": 1}), "'1' is no string"),
    "text as number": (_filtering("=", {"feature": "x", "type": "integer"}, right={"literal": "1"}), "no integer"),
    "huge": (_filtering("=", {"feature": "x", "type": "integer"}, right={"literal": 10**400}), "out of all bounds"),
    "time": (_filtering("=", {"column": "ts"}, right={"literal": "yesterday"}), "not a time"),
    "list": (_filtering("in", {"column": "link"}, right={"literal": "x"}), "list of literals"),
    "empty list": (_filtering("in", {"column": "link"}, right={"literal": []}), "list of literals"),
    "no list": (_filtering("=", {"column": "link"}, right={"literal": ["x"]}), "one literal"),
    "filter across": (_filtering("=", {"column": "link"}, right={"side": "appended", "column": "link"}), "join_conditions"),
    "counted": (_filtering("=", {"column": "activity_occurrence"}, right={"literal": 1}), "after filters"),
    "json": (_filtering("=", {"feature": "x", "type": "json"}, right={"literal": "1"}), "JSON is not compared"),
    "too many": ({**_ONE, "appended": [{"activity": "b", "relationship": "first_ever"}] * 51}, "at most 50"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_dataset_is_told_in_one_line(name: str) -> None:
    given, told = WRONG[name]
    with pytest.raises(UsageError) as error:
        read(given if isinstance(given, str) else json.dumps(given))
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("words", "told"), [
    ("", "'primary' is missing at the end"),
    ("primary sometimes a show ts", "one of all, first, last, nth, every is missing before 'sometimes' in line 1"),
    ("primary all a\nshow ts\nwith b", "append, where, join or show is missing here before 'with' in line 3"),
    ("primary all a join x = 1 show ts", "join belongs to an append"),
    ("primary all a where x show ts", "a comparison is missing before 'show'"),
    ("primary all a show ts where x =", "missing at the end"),
    ("primary all a show ts append nth(x) ever b", "a number is missing"),
    ("primary all a show cnt(ts)", "Did you mean 'count'?"),
    ("primary all 'a' show ts", "an activity is missing"),
    ("primary all a show ts where link = 'x", "Is a quote left open?"),
])  # fmt: skip
def test_words_that_cannot_be_read_are_told_with_their_place(words: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read(words)
    assert told in str(error.value)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*WORDS.split(), "(", "'", '"', "\0", "é", "9" * 400]), max_size=12).map(" ".join))
def test_any_words_are_read_or_refused(words: str) -> None:
    """Never a traceback."""
    try:
        read(words)
    except UsageError as error:
        assert "\n" not in str(error)
