"""The datasets of dbt-activity-schema's own tests give the rows these tests expect."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.shared_data import SHARED, shared_data

from cdesk.dataset import Definition, compiled, read
from cdesk.dataset.stream_file import StreamFile
from cdesk.sql.dialect import to_duckdb

FOLDER = SHARED / "activityschema" / "bcodell"
CASES = sorted(FOLDER.glob("*.json")) or [FOLDER / "none.json"]


@pytest.fixture(scope="module")
def stream() -> Iterator[StreamFile]:
    with StreamFile(shared_data("activityschema/bcodell/streams/customer_stream.csv")) as file:
        yield file


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_gives_its_rows(path: Path, stream: StreamFile) -> None:
    """With the bounds it states; columns in its order, rows in any."""
    case = json.loads(shared_data(f"activityschema/bcodell/{path.name}").read_text())
    statement = compiled(_definition(case), case["dialect"])
    answer = stream.query(to_duckdb(statement.sql)[0], statement.values)
    with (FOLDER / case["expected_csv"]).open(newline="") as file:
        columns, *expected = csv.reader(file)
    assert list(answer.columns) == columns
    assert sorted(["" if cell is None else str(cell) for cell in row] for row in answer.rows) == sorted(expected)


def _definition(case: dict[str, Any]) -> Definition:
    return read(json.dumps(case["definition"]))


def test_all_cases_are_there(stream: StreamFile) -> None:
    """None is lost on the way."""
    assert len(CASES) == 69
