"""`cdesk usage`: tokens and dollars, as tables people enjoy or as ccusage's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.clock import local_timezone
from cdesk.errors import UsageError
from cdesk.query.usage import BYS, parse_day

MODELS_SHOWN = 3
WIDE = 110
"""Columns of a terminal that has room for every digit."""
BAR_CHARACTERS = 16


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "usage",
        "Tokens and dollars, each response counted once, by ccusage's rule. Costs are the dated price book's;\n"
        "models without a known price are shown as unpriced, never as $0.\n\n"
        "examples:\n  cdesk usage daily\n  cdesk usage project --since 2026-11-01\n  cdesk usage daily --json --timezone UTC",
    )  # fmt: skip
    parser.add_argument("by", choices=BYS, nargs="?", default="daily", help="one row per … (default: daily)")
    parser.add_argument("--since", metavar="DAY", help="first day, such as 2026-11-01")
    parser.add_argument("--until", metavar="DAY", help="last day, inclusive")
    parser.add_argument("--timezone", metavar="ZONE", help="where days begin (default: this machine's)")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="price everything by this file instead")
    parser.add_argument("--json", action="store_true", help="print ccusage's JSON shape")
    given = parser.parse_args(arguments)
    wanted = {
        "by": given.by,
        "since": parse_day(given.since).isoformat() if given.since else None,
        "until": parse_day(given.until).isoformat() if given.until else None,
        "timezone": given.timezone or local_timezone(),
        "prices": _price_file(given.prices) if given.prices else None,
    }
    report, is_sample = _report(wanted, given.prices)
    if given.json:
        show.json(report)
    else:
        _show(report, given.by, wanted["timezone"], is_sample)
    return 0


def _report(wanted: dict[str, Any], prices: Path | None) -> tuple[dict[str, Any], bool]:
    home = config.home()
    client = connect(home)
    if client is not None:
        return dict(client.post("/v1/usage", wanted)), home.is_sample
    from datetime import date

    from cdesk.activity.pricing import PriceBook
    from cdesk.app import opened_app

    with opened_app() as app:
        report = app.usages.report(
            wanted["by"], since=date.fromisoformat(wanted["since"]) if wanted["since"] else None,
            until=date.fromisoformat(wanted["until"]) if wanted["until"] else None, timezone=wanted["timezone"],
            prices=PriceBook.load(prices) if prices else None,
        )  # fmt: skip
    return report.json(), home.is_sample


def _price_file(path: Path) -> msgspec.Raw:
    from cdesk.activity.pricing import PriceBook, PriceBookError

    try:
        PriceBook.load(path)
        return msgspec.Raw(path.read_bytes())
    except PriceBookError as error:
        raise UsageError(str(error)) from None


def _show(report: dict[str, Any], by: str, timezone: str, is_sample: bool) -> None:
    rows = report[by]
    label = "SAMPLE DATA · " if is_sample else ""
    if not rows:
        print(f"{label}Nothing was used in this period. `cdesk import` reads your history; `cdesk doctor` checks it.")
        if note := _note(report):
            print(note)
        return
    if by == "tool":
        _show_tools(label, rows)
        return
    key = next(iter(rows[0]))
    is_wide = show.width() >= WIDE
    named = is_wide and by != "model"
    drawn = by in ("daily", "weekly", "monthly")
    most = max(row["totalCost"] for row in rows)
    show.table(
        f"{label}Usage {by} · {timezone}",
        [*_headings(by, is_wide, named), *([""] if drawn else [])],
        [
            [_name(row, key), *([_models(row)] if named else []), *_numbers(row), *([_bar(row, most)] if drawn else [])]
            for row in rows
        ],
        right=range(1 + named, 7 + named),
        footer=["total", *([""] if named else []), *_numbers(report["totals"]), *([""] if drawn else [])],
        note=_note(report),
    )


def _bar(row: dict[str, Any], most: float) -> str:
    """The row's cost beside the dearest, in eighths of a character."""
    eighths = round(BAR_CHARACTERS * 8 * row["totalCost"] / most) if most else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _headings(by: str, is_wide: bool, has_models: bool) -> list[str]:
    first = {"daily": "day", "weekly": "week of", "monthly": "month"}.get(by, by)
    counts = (
        ["input", "output", "cache write", "cache read", "all tokens"]
        if is_wide
        else ["in", "out", "write", "read", "all"]
    )
    return [first, *(["models"] if has_models else []), *counts, "cost"]


def _name(row: dict[str, Any], key: str) -> str:
    name = row[key]
    if key == "sessionId":
        name = f"{name[:8]} {Path(row['projectPath'] or '').name}"
    return name or "(unknown)"


def _models(row: dict[str, Any]) -> str:
    models = list(dict.fromkeys(_short(entry["modelName"]) for entry in row["modelBreakdowns"]))
    return ", ".join(models[:MODELS_SHOWN]) + (f" +{len(models) - MODELS_SHOWN}" if len(models) > MODELS_SHOWN else "")


def _numbers(row: dict[str, Any]) -> list[str]:
    counts = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens", "totalTokens")
    tell = show.number if show.width() >= WIDE else show.short_number
    return [*(tell(row[name]) for name in counts), show.dollars(row["totalCost"], row.get("unpricedResponses", 0))]


def _short(model: str) -> str:
    name = model.removeprefix("claude-")
    head, _, date = name.rpartition("-")
    return head if date.isdigit() and len(date) == 8 else name


def _show_tools(label: str, rows: list[dict[str, Any]]) -> None:
    show.table(
        f"{label}Usage by tool", ["tool", "calls", "failed", "average", "tokens*", "cost*"],
        [[row["tool"], show.number(row["calls"]), show.number(row["failed"]),
          "–" if row["averageLatencyMs"] is None else f"{row['averageLatencyMs']:,.0f} ms",
          show.number(row["totalTokens"]), show.dollars(row["totalCost"])] for row in rows],
        right=(1, 2, 3, 4, 5), note="* of the responses that called it, shared evenly between their calls",
    )  # fmt: skip


def _note(report: dict[str, Any]) -> str:
    notes = []
    if unpriced := report["totals"].get("unpricedResponses"):
        notes.append(f"{unpriced:,} responses are unpriced: their models are not in the price book (--prices FILE).")
    if excluded := report.get("excludedResponses"):
        notes.append(f"{excluded:,} responses are left out: their lines are not as Claude Code writes them.")
    return "\n".join(notes)
