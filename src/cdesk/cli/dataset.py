"""`cdesk dataset`: an activity's rows, with what happened ever, before, after or in between."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.dataset.bounds import BOUNDS
from cdesk.errors import UsageError
from cdesk.surface.dataset import DatasetAnswer, DatasetRequest, answer, answered, definition

ROWS_SHOWN = 200
FOLD_AT = 28
ROWS_MAX = 1_000_000


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "dataset",
        "Asks in the words of ActivitySchema: the rows of a primary activity, each with what else happened.\n\n"
        "examples:\n"
        "  cdesk dataset \"primary all tool_called where success = false show ts, tool_name\n"
        "                 append first after tool_called show ts as next_called_at\"\n"
        "  cdesk dataset --definition FILE.json --stream FILE.csv --json\n\n"
        "docs/dataset.md tells the words, and the JSON that means the same.",
    )  # fmt: skip
    parser.add_argument("words", nargs="?", help="the dataset; - reads it from standard input")
    parser.add_argument("--definition", metavar="FILE", help="the dataset, in JSON or in words")
    parser.add_argument("--stream", metavar="FILE", help="over the stream in this CSV file instead of the warehouse")
    parser.add_argument("--bounds", choices=BOUNDS, default="default", help="whose rules on equal times")
    parser.add_argument("--show-sql", action="store_true", help="also the SQL, as Snowflake takes it")
    parser.add_argument("--json", action="store_true", help='print {"columns", "rows"}')
    given = parser.parse_args(arguments)
    asked = DatasetRequest(_text(given.words, given.definition), given.bounds, ROWS_MAX if given.json else ROWS_SHOWN)
    found = _over_file(asked, Path(given.stream)) if given.stream else _over_warehouse(asked)
    if given.json:
        _json(found, with_sql=given.show_sql)
        return 0
    if given.show_sql:
        print(f"{found.sql}\n\n-- bound: {msgspec.json.encode(found.values).decode()}\n")
    _show(found)
    return 0


def _text(words: str | None, file: str | None) -> str:
    if (words is None) == (file is None):
        raise UsageError("give a dataset, or --definition FILE.", "`cdesk dataset --help` shows examples.")
    if file is None:
        return sys.stdin.read() if words == "-" else words or ""
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'it is no text'}.") from None


def _over_file(asked: DatasetRequest, stream: Path) -> DatasetAnswer:
    from cdesk.dataset import over_file

    found = over_file(definition(asked.definition), stream, asked.bounds, rows_max=asked.rows_max + 1)
    return answer(found, asked.rows_max)


def _over_warehouse(asked: DatasetRequest) -> DatasetAnswer:
    client = connect(config.home())
    if client is not None:
        return msgspec.convert(client.post("/v1/datasets", msgspec.to_builtins(asked)), DatasetAnswer)
    from cdesk.app import opened_app

    definition(asked.definition)  # what is wrong is said before the warehouse is opened
    with opened_app() as app:
        return answered(app.datasets, asked)


def _json(found: DatasetAnswer, *, with_sql: bool) -> None:
    show.json({
        "columns": found.columns, "rows": found.rows, **({"sql": found.sql, "values": found.values} if with_sql else {}),
    })  # fmt: skip
    if found.is_cut:
        print(f"cdesk dataset: only the first {len(found.rows):,} rows are given.", file=sys.stderr)


def _show(found: DatasetAnswer) -> None:
    if not found.rows:
        print(f"No rows. {found.query_id}".strip())
        return
    count = f"only the first {len(found.rows)} rows are shown" if found.is_cut else f"{len(found.rows)} rows"
    note = " · ".join(part for part in (count, found.query_id) if part)
    texts = [[_cell(value) for value in row] for row in found.rows]
    widest = (max(len(name), *(len(text[place]) for text in texts)) for place, name in enumerate(found.columns))
    if sum(min(width, FOLD_AT) + 3 for width in widest) > show.width():
        show.records(found.columns, texts, note=note)
        return
    right = [place for place, cell in enumerate(found.rows[0]) if isinstance(cell, int | float)]
    show.table("", found.columns, texts, right=right, note=note)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
