"""`cdesk explain`: what stands behind a citation, and behind a cell of an answer."""

from __future__ import annotations

from typing import Any

from cdesk.cli import show
from cdesk.cli.asked import desk
from cdesk.errors import UsageError

SOURCES_SHOWN = 20
_LONG = ("query_text", "features", "derivation")


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "explain",
        "What stands behind a citation: an activity, an insight, or a query with what was asked, by whom, as of when,\n"
        "and its SQL. Of an answer, --row and --column name a cell: the activities behind it are listed.\n\n"
        "examples:\n"
        "  cdesk explain cdesk:q_0123456789abcdef0123456789abcdef\n"
        "  cdesk explain cdesk:q_0123456789abcdef0123456789abcdef --row 1 --column failed\n"
        "  cdesk explain activity:0aa62d5f-2a8b-8a3c-9d3e-3b0c4b0f5a11 --json",
    )  # fmt: skip
    parser.add_argument("citation", help="activity:<id>, atom:<id> or cdesk:<query_id>")
    parser.add_argument("--row", type=int, metavar="N", help="of the answer, from 1")
    parser.add_argument("--column", metavar="NAME", help="of that row; the first that counts, where none is named")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.column is not None and given.row is None:
        raise UsageError("--column needs --row.", "Rows count from 1.")
    with desk() as asked:
        found = asked.explain({"citation": given.citation, "row": given.row, "column": given.column})
    if given.json:
        show.json(found)
    else:
        _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    print(f"{found['citation']}  ({found['is_a']})")
    for name, value in found["said"].items():
        if name not in _LONG:
            print(f"  {name:<16} {show.cell(value)}")
    for name in _LONG:
        if name in found["said"]:
            print(f"\n{show.cell(found['said'][name])}")
    cell = found["cell"]
    if cell:
        print(f"\nRow {cell['row']}, {cell['column']}: {show.cell(cell['value'])}")
    sources = found["comes_from"]
    if sources:
        print("\nIt comes from:" if not cell else f"\nBehind it are {len(cell['activities']):,} activities:")
    for source in sources[:SOURCES_SHOWN]:
        print(f"  {source}")
    if len(sources) > SOURCES_SHOWN:
        print(f"  … {len(sources) - SOURCES_SHOWN:,} more with --json")
