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
    text = _text(given.words, given.definition)
    rows_max = ROWS_MAX if given.json else ROWS_SHOWN + 1
    answer = _over_file(text, given, rows_max) if given.stream else _over_warehouse(text, given, rows_max)
    if given.json:
        show.json({name: answer[name] for name in ("columns", "rows", *(["sql", "values"] if given.show_sql else []))})
        return 0
    if given.show_sql:
        print(f"{answer['sql']}\n\n-- bound: {msgspec.json.encode(answer['values']).decode()}\n")
    _show(answer)
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


def _over_file(text: str, given: Any, rows_max: int) -> dict[str, Any]:
    from cdesk.dataset import over_file, read
    from cdesk.surface.dataset import dataset_json

    return dataset_json(over_file(read(text), Path(given.stream), given.bounds, rows_max=rows_max))


def _over_warehouse(text: str, given: Any, rows_max: int) -> dict[str, Any]:
    client = connect(config.home())
    if client is not None:
        return dict(client.post("/v1/datasets", {"definition": text, "bounds": given.bounds, "rows_max": rows_max}))
    from cdesk.app import open_app
    from cdesk.dataset import read
    from cdesk.surface.dataset import dataset_json

    definition = read(text)
    app = open_app()
    try:
        app.uploader.drain()
        return dataset_json(app.datasets.ask(definition, given.bounds, rows_max=rows_max))
    finally:
        app.close()


def _show(answer: dict[str, Any]) -> None:
    rows, columns = answer["rows"][:ROWS_SHOWN], answer["columns"]
    cut = f"only the first {ROWS_SHOWN} rows are shown" if len(answer["rows"]) > ROWS_SHOWN else f"{len(rows)} rows"
    note = " · ".join(part for part in (cut, answer["query_id"]) if part)
    if not rows:
        print(f"No rows. {answer['query_id']}".strip())
        return
    texts = [[_cell(value) for value in row] for row in rows]
    widest = (max(len(name), *(len(text[place]) for text in texts)) for place, name in enumerate(columns))
    if sum(min(width, FOLD_AT) + 3 for width in widest) > show.width():
        show.records(columns, texts, note=note)
        return
    right = [place for place in range(len(columns)) if all(isinstance(row[place], int | float) for row in rows)]
    show.table("", columns, texts, right=right, note=note)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
