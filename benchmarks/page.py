"""How soon the first page is there, on a million activities.

    python benchmarks/page.py                     build the warehouse once (kept in the temporary folder), measure
    python benchmarks/page.py --activities 200000 a smaller one

In Chromium, a new browser context each time so that nothing is kept: until something is painted, until the figures are
on screen, until the chart is. `cold` is the first visit after the service started, `fresh` one whose answers are not
remembered (another range each time), `again` one whose are. Then each question by itself, in a process that has the
warehouse open. Goal: whichever visit, painted within 1 s; and the first page as it opens (`cold`, `again`) with its figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine
from benchmarks.usage_daily import CACHE, built, cdesk
from tests.web.browser import chromium

from cdesk.config import Home
from cdesk.query.page import Pages
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

GOAL_MS = 1000
RUNS = 5
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WATCH = """
window.__seen = {};
const look = () => {
    for (const [name, what] of [["figures", ".tile .value"], ["chart", ".chart canvas"]])
        if (!(name in window.__seen) && document.querySelector(what)) window.__seen[name] = performance.now();
};
new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""


def link(home: Home) -> str:
    return cdesk(home, "open", "--print").strip()


def visit(browser: Any, login: str, path: str) -> dict[str, float]:
    """Milliseconds from the start of the navigation, by the page's own clock."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(login.split("/login")[0] + "/mark.svg")
        context.request.get(login)  # let in, and nothing of the page loaded yet
        page.goto(login.split("/login")[0] + path, wait_until="commit")
        page.wait_for_selector(".chart canvas")
        return {"painted": page.evaluate(PAINTED), **page.evaluate("window.__seen")}
    finally:
        context.close()


def visits(home: Home, runs: int) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {"cold": [], "fresh": [], "again": []}
    with chromium() as browser:
        for _ in range(runs):
            cdesk(home, "up", "--detach", "--port", "0")
            try:
                found["cold"].append(visit(browser, link(home), "/"))
                found["fresh"] += [
                    visit(browser, link(home), path) for path in ("/?days=30", "/?days=90&by=project", "/?days=1")
                ]
                found["again"].append(visit(browser, link(home), "/?days=30"))
            finally:
                cdesk(home, "down")
    return found


def questions(home: Home, runs: int) -> dict[str, list[float]]:
    warehouse = DuckDBWarehouse(home.warehouse)
    pages = Pages(warehouse)
    try:
        [session] = pages.sessions(1).sessions
        asked: dict[str, Callable[[], object]] = {
            **{f"overview {days} days": partial(pages.overview, days, "model", "Europe/Berlin") for days in (1, 7, 30, 90)},
            "recent": pages.recent, "sessions": lambda: pages.sessions(50), "session": lambda: pages.timeline(session.id),
            "projects 30 days": lambda: pages.projects(30, "Europe/Berlin"),
        }  # fmt: skip
        return {name: [timed(ask) for _ in range(runs)] for name, ask in asked.items()}
    finally:
        pages.close()
        warehouse.close()


def timed(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activities", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    given = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    home = built(given.activities)
    seen, asked = visits(home, given.runs), questions(home, given.runs)
    print(f"{given.activities:,} activities")
    for name, runs in seen.items():
        shown = "   ".join(
            f"{what} {statistics.median(run[what] for run in runs):5.0f}" for what in ("painted", "figures", "chart")
        )
        print(f"{name:<18} {shown}   worst figures {max(run['figures'] for run in runs):5.0f} ms")
    for name, values in asked.items():
        print(f"{name:<18} p50 {statistics.median(values):6.0f} ms   worst {max(values):6.0f} ms")
    painted = [run["painted"] for runs in seen.values() for run in runs]
    worst = max(*painted, *(run["figures"] for name in ("cold", "again") for run in seen[name]))
    print(f"goal < {GOAL_MS} ms until the first page is there: {'reached' if worst < GOAL_MS else 'missed'}")
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "page.json").write_text(json.dumps({
        "benchmark": "page", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        "activities": given.activities, "goal_ms": GOAL_MS, "reached": worst < GOAL_MS,
        "visits_ms": {name: [{what: round(ms, 1) for what, ms in run.items()} for run in runs] for name, runs in seen.items()},
        "questions_ms": {name: [round(ms, 1) for ms in values] for name, values in asked.items()},
    }, indent=2) + "\n")  # fmt: skip
    sys.exit(0 if worst < GOAL_MS else 1)


if __name__ == "__main__":
    main()
