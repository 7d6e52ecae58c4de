"""`cdesk status`: is it running, is it flowing, what is in it."""

from __future__ import annotations

from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import connect
from cdesk.errors import ServiceError, WarehouseBusy


def run(arguments: list[str]) -> int:
    parser = show.parser("status", "Is the service running, is it flowing, and what is in the warehouse.")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    status = read()
    if given.json:
        show.json(status)
    else:
        print(sentences(status))
    return 0


def read() -> dict[str, Any]:
    """From the service when it runs, else from the files."""
    home = config.home()
    client = connect(home)
    if client is not None:
        try:
            return dict(client.get("/v1/status"))
        except ServiceError:
            return {**_here(home), "pid": client.record.pid}
    return _here(home)


def _here(home: config.Home) -> dict[str, Any]:
    from cdesk.app import App, Producer
    from cdesk.surface.status import of_app, of_producer

    settings = config.load(home)
    if not (home.warehouse / "warehouse.duckdb").exists():
        return _plain(of_producer(Producer(home, settings)), activities=0)
    try:
        app = App(home, settings)
    except WarehouseBusy:
        return _plain(of_producer(Producer(home, settings)))
    try:
        return _plain(of_app(app, None, None))
    finally:
        app.close()


def _plain(status: Any, activities: int | None = None) -> dict[str, Any]:
    found = dict(msgspec.to_builtins(status))
    if activities is not None:
        found["warehouse"]["activities"] = activities
    return found


def pressed(queue: dict[str, Any]) -> list[str]:
    """What a person should know when the queue is not at ease."""
    lines = []
    if queue["level"] != "normal":
        lines.append(
            f"pressure {queue['level']}: {show.size(queue['stored'])} of {show.size(queue['bytes_max'])} in use"
        )
    counted = queue["counted"] or {}
    if counted.get("shrunk") or counted.get("sampled"):
        lines.append(f"{counted['shrunk']:,} activities were shrunk and {counted['sampled']:,} of low value left out")
    if refused := {source: count for source, count in queue["refused"].items() if count}:
        told = " and ".join(f"{count:,} of {source}" for source, count in refused.items())
        lines.append(f"full at times: events were refused, {told}; transcripts repair what they know of")
    return lines


def told_of_collector(status: dict[str, Any]) -> list[str]:
    """Where activities go from here, and who sends here."""
    lines = []
    if forward := status.get("forward"):
        waiting = (
            f"{forward['events']:,} wait, oldest {show.age(forward['oldest_age_s'])}"
            if forward["bytes"]
            else "all sent"
        )
        lines.append(f"collector   {forward['url']}: {waiting}")
        if forward["trouble"]:
            lines.append(f"{'':11} {forward['trouble']}")
    if collector := status.get("collector"):
        at = f"at {collector['listen']}" if collector["listen"] else "not started: `cdesk up --role collector`"
        accepted = sum(one["accepted"] for one in collector["laptops"])
        lines.append(f"collects    {at}; {len(collector['laptops']):,} laptops invited, {accepted:,} lines taken")
    return lines


def told_of_team(team: dict[str, Any]) -> list[str]:
    waits = (
        f"{team['events']:,} activities wait, oldest {show.age(team['lag_s'])}" if team["bytes"] else "has everything"
    )
    lines = [f"{'team':<11} {waits}, by {team['path']}"]
    if team["rows"] is not None:
        lines.append(
            f"{'':11} {team['rows']:,} rows in {team['batches']:,} rounds, about {team['credits']:.4f} credits"
        )
    return [*lines, f"{'':11} {team['trouble']}"] if team["trouble"] else lines


def sentences(status: dict[str, Any]) -> str:
    queue, warehouse = status["queue"], status["warehouse"]
    lines = [f"SAMPLE DATA in {status['home']}"] if status["sample"] else []
    if status["running"]:
        lines.append(f"running     pid {status['pid']}, http://127.0.0.1:{status['port']}")
    else:
        lines.append("not running `cdesk up` starts it")
    if warehouse["activities"] is None:
        lines.append("warehouse   in use by another process")
    else:
        newest = f", newest from {warehouse['data_as_of']}" if warehouse["data_as_of"] else ""
        lines.append(f"warehouse   {warehouse['activities']:,} activities{newest}")
    waiting = (
        f"{queue['events']:,} activities ({show.size(queue['bytes'])}) wait, oldest {show.age(queue['oldest_age_s'])}"
    )
    lines.append(f"queue       {waiting if queue['bytes'] else 'empty, everything is in the warehouse'}")
    lines += [f"{'':11} {line}" for line in pressed(queue)]
    if queue["dead_letters"]:
        lines.append(f"set aside   {queue['dead_letters']:,} lines that could not be read: `cdesk doctor`")
    drift = status.get("drift") or {"open": 0, "quarantined": 0}
    if drift["open"] or drift["quarantined"]:
        lines.append(f"drift       {drift['open']:,} open, {drift['quarantined']:,} rows set aside: `cdesk drift list`")
    contexts = status.get("contexts") or {"contexts": 0}
    if contexts["contexts"]:
        lines.append(f"context     {contexts['contexts']:,} kept, the oldest {show.age(contexts['oldest_age_s'])} old")
    lines += told_of_collector(status)
    if cpu := sum(((status.get("cost") or {}).get("cpu_s") or {}).values()):
        lines.append(
            f"cost        {show.number(cpu) if cpu >= 10 else f'{cpu:.1f}'} s of processor today: `cdesk cost`"
        )
    if status.get("budget"):
        from cdesk.cli.cost import budget

        lines.append(f"{'':11} {budget(status['budget'])}")
    if team := status.get("team"):
        lines += told_of_team(team)
    for source in status.get("completeness", ()):
        repaired = f", {source['repaired']:,} repaired from transcripts" if source["repaired"] else ""
        lines.append(
            f"{source['source']:<11} saw {source['completeness_pct']:g} % of {source['facts']:,} facts{repaired}"
        )
    backfill = status.get("backfill")
    if backfill and not backfill["done"]:
        lines.append(f"back-fill   {backfill['files']:,} of {backfill['files_total']:,} transcripts")
    return "\n".join(lines)
