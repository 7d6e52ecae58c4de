"""An artifact in every form: what it holds, and nothing that its texts would do."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import nanoarrow as na  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.artifact.house import House

from cdesk.artifact.model import FORMS, Artifact, Chart, Column, Form
from cdesk.errors import UsageError
from cdesk.query import render
from cdesk.query.chart import BOTTOM, HEIGHT, TOP

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    '=HYPERLINK("http://x")',
    "-2+3+cmd|' /C calc'!A0",
]
MARKUP = [
    "<script>alert(1)</script>",
    "a|b",
    "[x](javascript:1)",
    "**b** `c` _d_",
    "line\nbreak",
    "&amp; \"'",
    "# x",
    "\\|",
]
COLUMNS = [Column("name", "VARCHAR"), Column("price", "DECIMAL(9,2)", unit="USD"), Column("=kind", "VARCHAR")]


def rendered(house: House, artifact: Artifact, form: Form) -> bytes:
    found = render.rendered(house.artifacts, artifact, form)
    with found.content as content:
        said = content.read()
    assert len(said) == found.size
    return said


def keep(house: House, texts: list[str | None], **more: Any) -> Artifact:
    return house.keep([(text, -1.5, "x") for text in texts], COLUMNS, **more)


def test_every_form_holds_all_of_it(house: House) -> None:
    kept = keep(house, ["a", None, "ä"])
    rows = [["a", -1.5, "x"], [None, -1.5, "x"], ["ä", -1.5, "x"]]
    told = json.loads(rendered(house, kept, "json"))
    assert told["rows"] == rows and told["query_id"] == "q_1" and told["columns"][1]["unit"] == "USD"
    read = list(csv.reader(io.StringIO(rendered(house, kept, "csv").decode(), newline="")))
    assert read == [["name", "price", "'=kind"], ["a", "-1.5", "x"], ["", "-1.5", "x"], ["ä", "-1.5", "x"]]
    arrow = na.ArrayStream.from_readable(rendered(house, kept, "arrow"))
    assert [str(field.name) for field in arrow.schema.fields] == ["name", "price", "=kind"]
    assert sum(len(batch) for batch in arrow) == 3
    path = house.folder / "copy.parquet"
    path.write_bytes(rendered(house, kept, "parquet"))
    assert len(duckdb.read_parquet(str(path)).fetchall()) == 3
    path.unlink()
    assert len(_cells(rendered(house, kept, "html").decode())) == 9
    assert rendered(house, kept, "markdown").decode().splitlines()[4] == "| a | -1.5 | x |"


def test_nothing_is_a_result_in_every_form(house: House) -> None:
    kept = keep(house, [], chart=Chart("bar", "name", "price"))
    for form in FORMS:
        assert rendered(house, kept, form), form
    assert json.loads(rendered(house, kept, "json"))["rows"] == []


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spreadsheet_takes_no_text_for_a_formula(house: House, formula: str) -> None:
    """Figures stay figures, negative ones too."""
    kept = keep(house, [formula])
    [_, row] = csv.reader(io.StringIO(rendered(house, kept, "csv").decode(), newline=""))
    assert row[0] == f"'{formula}" and row[1] == "-1.5"


@pytest.mark.parametrize("text", MARKUP)
def test_no_text_is_markup(house: House, text: str) -> None:
    kept = keep(house, [text], title=text, chart=Chart("bar", "name", "price", "name"))
    page = rendered(house, kept, "html").decode()
    assert _cells(page)[0] == text and "<script" not in page
    table = rendered(house, kept, "markdown").decode().splitlines()
    assert table[0].startswith("# ") and len(table) == 7
    bare = table[4].replace("\\\\", "").replace("\\|", "")
    assert bare.count("|") == 4 and "<script" not in table[4].replace("\\<", "")
    drawing = ET.fromstring(rendered(house, kept, "svg"))
    assert {element.tag.rpartition("}")[2] for element in drawing.iter()} <= {
        "svg",
        "title",
        "text",
        "rect",
        "path",
        "polyline",
    }


@given(
    texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5)
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_csv_and_json(house: House, texts: list[str | None]) -> None:
    kept = keep(house, texts)
    assert [row[0] for row in json.loads(rendered(house, kept, "json"))["rows"]] == texts
    _, *rows = csv.reader(io.StringIO(rendered(house, kept, "csv").decode(), newline=""))
    assert [row[0].removeprefix("'") for row in rows] == [(text or "").removeprefix("'") for text in texts]


def test_a_chart_draws_what_it_was_kept_with(house: House) -> None:
    rows = [(f"day {n}", n * 1.5, series) for n in range(-2, 5) for series in ("a", "b")]
    for kind, shape, many in (("bar", "rect", 14 + 2), ("line", "polyline", 2)):
        kept = house.keep(rows, COLUMNS, chart=Chart(kind, "name", "price", "=kind"))  # type: ignore[arg-type]
        drawing = ET.fromstring(rendered(house, kept, "svg"))
        assert len([one for one in drawing.iter() if one.tag.endswith(shape)]) == many
    with pytest.raises(UsageError, match="without a chart"):
        rendered(house, house.keep(rows, COLUMNS), "svg")


@pytest.mark.parametrize("kind", ["bar", "line"])
def test_a_samples_chart_says_how_far_off_it_may_be(house: House, kind: str) -> None:
    """A bar from the least to the most around each figure whose error is known, within the sheet, and what it means."""
    columns = [Column("name", "VARCHAR"), Column("cost", "DOUBLE"), Column("cost_error", "DOUBLE")]
    rows = [("a", 10.0, 5.0), ("b", 4.0, None), ("c", 2.0, 3.0)]
    drawing = ET.fromstring(rendered(house, house.keep(rows, columns, chart=Chart(kind, "name", "cost")), "svg"))  # type: ignore[arg-type]
    errors = [one.get("d", "") for one in drawing.iter() if one.get("class") == "error"]
    spans = [(float(top), float(foot)) for top, foot in (re.findall(r"M[\d.]+ ([\d.]+)H", d) for d in errors)]
    assert len(spans) == 1 + 2, "the legend's and those of a and c"
    heights = [foot - top for top, foot in spans]
    assert heights[1] / heights[2] == pytest.approx(5 / 3, rel=0.02)
    assert all(TOP - 1 <= top < foot <= HEIGHT - BOTTOM + 1 for top, foot in spans[1:])
    assert any("± (95 %)" in (one.text or "") for one in drawing.iter())
    plain = house.keep([row[:2] for row in rows], columns[:2], chart=Chart(kind, "name", "cost"))  # type: ignore[arg-type]
    assert b"95 %" not in rendered(house, plain, "svg")


def test_each_form_has_a_name_of_its_own(house: House) -> None:
    """The same content has the same, another content another."""
    one, same, other = keep(house, ["a"]), keep(house, ["a"]), keep(house, ["b"])
    assert len({render.tag(one, form) for form in FORMS}) == len(FORMS)
    assert render.tag(one, "csv") == render.tag(same, "csv") != render.tag(other, "csv")


@pytest.mark.parametrize("title", ["../../etc/passwd", 'x"; filename="y', "\r\nSet-Cookie: a", "", "Ä"])
def test_a_title_makes_a_harmless_file_name(house: House, title: str) -> None:
    found = render.rendered(house.artifacts, keep(house, ["a"], title=title), "csv")
    found.content.close()
    assert set(found.file_name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.") and found.file_name.endswith(".csv")
    assert not Path(found.file_name).is_absolute() and ".." not in found.file_name


def _cells(page: str) -> list[str]:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []
            self.inside = False

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.inside = tag == "td"
            if self.inside:
                self.found.append("")

        def handle_endtag(self, tag: str) -> None:
            self.inside = self.inside and tag != "td"

        def handle_data(self, data: str) -> None:
            if self.inside:
                self.found[-1] += data

    reader = Reader()
    reader.feed(page)
    return reader.found
