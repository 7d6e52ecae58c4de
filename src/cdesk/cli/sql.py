"""`cdesk sql`: one SELECT, read-only."""

from __future__ import annotations

import sys
from typing import Any, Literal

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.errors import UsageError
from cdesk.query.granted import BYTES_MAX

ROWS_SHOWN = 200
FOLD_AT = 28
ROWS_MAX = 1_000_000
SECONDS_MAX = 60.0


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "sql",
        "Asks the warehouse. One SELECT at a time; writing, files and settings are refused.\n\n"
        "examples:\n"
        "  cdesk sql \"SELECT activity, count(*) FROM CLAUDE_STREAM_V2 GROUP BY 1 ORDER BY 2 DESC\"\n"
        "  cdesk sql \"SELECT * FROM V_EXECUTIVE_SUMMARY\" --json\n"
        "  cdesk sql \"SELECT table_name FROM information_schema.tables ORDER BY 1\"",
    )  # fmt: skip
    parser.add_argument("query", help="the SELECT; - reads it from standard input")
    parser.add_argument(
        "--json", action="store_true", help='print {"columns", "rows", "query_id", "estimate", "sample"}'
    )
    parser.add_argument("--estimate", action="store_true", help="say what it would read; do not run it")
    parser.add_argument("--bytes-max", type=int, metavar="N", help="refuse to read more")
    parser.add_argument(
        "--sample", action="store_true", help="where it would read more, answer from a part, with a ± to each figure"
    )
    parser.add_argument(
        "--on", choices=("duckdb", "snowflake"), default="duckdb", help="snowflake: the team's warehouse"
    )
    given = parser.parse_args(arguments)
    query = sys.stdin.read() if given.query == "-" else given.query
    if given.on == "snowflake" and (given.estimate or given.bytes_max is not None):
        raise UsageError("Snowflake says no size before a statement runs.", "Leave out --estimate and --bytes-max.")
    if given.estimate:
        return _show_estimate(estimate(query), given.json)
    answer = ask(
        query, ROWS_MAX if given.json else ROWS_SHOWN + 1, BYTES_MAX if given.bytes_max is None else given.bytes_max,
        "sample" if given.sample else "refuse", given.on,
    )  # fmt: skip
    if given.json:
        show.json(answer)
    else:
        _show(answer)
    return 0


def ask(
    query: str,
    rows_max: int,
    bytes_max: int,
    over_cap: Literal["refuse", "sample"],
    on: Literal["duckdb", "snowflake"] = "duckdb",
) -> dict[str, Any]:
    client = connect(config.home())
    if client is not None:
        asked = {"sql": query, "rows_max": rows_max, "bytes_max": bytes_max, "over_cap": over_cap, "on": on}
        return dict(client.post("/v1/sql", asked))
    from cdesk.app import opened_app
    from cdesk.query.adhoc import told_json
    from cdesk.query.cells import answer_json

    with opened_app() as app:
        if on == "snowflake":
            return answer_json(app.team_answers.sql(
                query, rows_max=rows_max, seconds_max=SECONDS_MAX, over_cap=over_cap
            ))  # fmt: skip
        return told_json(app.adhoc.ask(
            query, rows_max=rows_max, seconds_max=SECONDS_MAX, bytes_max=bytes_max, over_cap=over_cap
        ))  # fmt: skip


def estimate(query: str) -> dict[str, Any]:
    client = connect(config.home())
    if client is not None:
        return dict(client.post("/v1/sql/estimate", {"sql": query}))
    from cdesk.app import opened_app

    with opened_app() as app:
        return dict(msgspec.to_builtins(app.adhoc.estimate(query)))


def _show_estimate(told: dict[str, Any], as_json: bool) -> int:
    if as_json:
        show.json(told)
    else:
        print(_size(told))
    return 0


def _size(told: dict[str, Any]) -> str:
    from cdesk.query.estimate import Estimate, in_words

    return in_words(Estimate(**told))


def _show(answer: dict[str, Any]) -> None:
    rows = answer["rows"]
    if not rows:
        part = f" {answer['sample']['watermark']}" if answer.get("sample") else ""
        print(f"No rows.{part} ({answer['query_id']})")
        return
    more = f" · only the first {ROWS_SHOWN} are shown" if len(rows) > ROWS_SHOWN else ""
    part = f"{answer['sample']['watermark']}\n" if answer.get("sample") else ""
    size = f" · {_size(answer['estimate'])}" if answer.get("estimate") else ""
    note = f"{part}{min(len(rows), ROWS_SHOWN)} rows{more}{size} · {answer['query_id']}"
    texts = [[_text(value) for value in row] for row in rows[:ROWS_SHOWN]]
    if _width(answer["columns"], texts) > show.width():
        show.records(answer["columns"], texts, note=note)
        return
    right = [i for i in range(len(answer["columns"])) if all(_is_number(row[i]) for row in rows)]
    show.table("", answer["columns"], texts, right=right, note=note)


def _width(columns: list[str], rows: list[list[str]]) -> int:
    """Characters a table needs when texts may be folded at FOLD_AT."""
    widest = [max(len(line) for line in (name, *(row[i] for row in rows))) for i, name in enumerate(columns)]
    return sum(min(width, FOLD_AT) + 3 for width in widest)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
