"""`cdesk cost`: what cdesk itself costs, in processor time here and in credits in Snowflake. What Claude costs is `cdesk usage`."""

from __future__ import annotations

from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.query.cost import BYS, DAYS


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "cost",
        "What cdesk itself costs, day by day (UTC): seconds of processor and bytes of disk on this machine; credits and\n"
        "dollars of the team's warehouse in Snowflake, and how today stands to its budget.\n"
        "What Claude costs is `cdesk usage`.\n\n"
        "examples:\n  cdesk cost\n  cdesk cost --days 30 --json\n  cdesk cost --by tag",
    )
    parser.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help=f"so many days, today too (default: {DAYS})"
    )
    parser.add_argument("--by", choices=BYS, default=BYS[0], help="one row per … and day (default: workload)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    report = _report(given.days, given.by)
    if given.json:
        show.json(report)
    else:
        _show(report)
    return 0


def _report(days: int, by: Any) -> dict[str, Any]:
    client = connect(config.home())
    if client is not None:
        return dict(client.get(f"/v1/cost?days={days}&by={by}"))
    from cdesk.app import open_app

    app = open_app()
    try:
        return dict(msgspec.to_builtins(app.costs.report(days=days, by=by)))
    finally:
        app.close()


def _show(report: dict[str, Any]) -> None:
    by = report["by"]
    if report["embedded"]:
        _show_embedded(report["embedded"], by)
    else:
        print("This machine: nothing was done in these days. `cdesk up` or `cdesk import` does something.")
    team = report["snowflake"]
    if team is None:
        print("Snowflake: none is set. [snowflake] in config.toml names one (docs/snowflake.md).")
        return
    if team["rows"]:
        _show_team(team, by)
    elif not team["trouble"]:
        print("Snowflake: its meters tell of nothing in these days; they are up to three hours late.")
    if team["trouble"]:
        print(f"Snowflake cannot be asked what it costs now: {team['trouble']}")
    if team["budget"]:
        print(budget(team["budget"]))


def _show_embedded(rows: list[dict[str, Any]], by: str) -> None:
    named = ["tag"] if by == "tag" else []
    show.table(
        "This machine", ["day", "workload", *named, "runs", "processor", "read", "written"],
        [[row["day"], row["workload"], *([row["tag"] or ""] if named else []), show.number(row["runs"]),
          f"{row['cpu_s']:,.2f} s", _disk(row["bytes_read"]), _disk(row["bytes_written"])] for row in rows],
        right=range(2 + len(named), 6 + len(named)),
        note="the tags that took most of each day" if named else "",
    )  # fmt: skip


def _disk(count: int | None) -> str:
    return "–" if count is None else show.size(count)


def _show_team(team: dict[str, Any], by: str) -> None:
    rows = team["rows"]
    named = ["tag", "statements"] if by == "tag" else []
    estimated = sum(row["credits_estimated"] for row in rows)
    notes = [f"at {team['usd_per_credit']:g} US dollars a credit"]
    if estimated:
        notes.append(f"{estimated:,.2f} credits are estimated: Snowflake's meters do not tell them yet")
    if named:
        notes.append("while they ran, up to eight hours late: less than the warehouses cost")
    show.table(
        "Snowflake", ["day", "workload", *named, "credits", "cost"],
        [[row["day"], row["workload"], *([row["tag"], show.number(row["statements"])] if named else []),
          f"{row['credits']:,.3f}", show.dollars(row["usd"])] for row in rows],
        right=range(2 + (1 if named else 0), 4 + len(named)), note="; ".join(notes),
    )  # fmt: skip


def budget(standing: dict[str, Any]) -> str:
    """One line."""
    spent = f"{show.dollars(standing['usd'])} on {standing['day']} (UTC)"
    if standing["budget_usd"] is None:
        return f"Snowflake: {spent}, no budget is set"
    told = f"Snowflake: {spent} of {show.dollars(standing['budget_usd'])} a day"
    if standing["level"] == "hard":
        return (
            f"{told}: loading pauses until the day is over or [snowflake] budget_usd_per_day is raised; the queue holds"
        )
    return f"{told}: most of it is spent" if standing["level"] == "soft" else told
