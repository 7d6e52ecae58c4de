"""How soon the first page is there, on a million activities and on ten million.

    python benchmarks/page.py                          build the warehouses once (kept in the temporary folder), measure
    python benchmarks/page.py --activities 200000      a smaller one
    python benchmarks/page.py --without-browser        the questions alone

In Chromium, on the first size, a new browser context each time so that nothing is kept: until something is painted,
until the figures are on screen, until the chart is. `cold` is the first visit after the service started, `fresh` one
whose answers are not remembered (another range each time), `again` one whose are. Goal: whichever visit, painted within
1 s; and the first page as it opens (`cold`, `again`) with its figures.

Then, on each size, each question by itself, in a process that has just opened the warehouse: with the rollups, and from
the stream alone, as before there were any. `cold`: the first time; `warm`: the median of the others. Goal with rollups:
100 ms warm, and 400 MB. The activities span 180 days up to when the warehouse was built; the latest million are whole,
older ones have the features that tasks and screens read.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import activities, machine
from benchmarks.usage_daily import CACHE, cdesk
from tests.web.browser import chromium

from cdesk.config import Home
from cdesk.query.page import Pages
from cdesk.query.text import text
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import Answer, Warehouse

GOAL_MS = 1000
QUESTION_GOAL_MS, GOAL_MB = 100, 400
SIZES = (1_000_000, 10_000_000)
WHOLE_MAX = 1_000_000
DAYS = 180
OLDER_BATCH = 250_000
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


# -- the warehouse -------------------------------------------------------------------------------------------------

_OLDER = """
INSERT INTO CLAUDE_STREAM_V2 (
    activity_id, ts, customer, anonymous_customer_id, activity, feature_json, revenue_impact, _session_id, _source,
    _schema_version, _ingested_at, _project_path, _model, _is_counted, _prompt_tokens, _completion_tokens,
    _cache_creation_5m_tokens, _cache_creation_1h_tokens, _cache_read_tokens)
SELECT md5('older-' || i)::UUID, ts, customer, 'host_5a3e0c91d2', activity,
       CASE activity
           WHEN 'claude_responded' THEN {'model': model, 'total_tokens': 1000, 'prompt_tokens': 100, 'completion_tokens': 50,
                                         'cost_usd': cost, 'is_counted': counted, 'project_path': project}::VARIANT
           WHEN 'tool_called' THEN {'tool_name': ['Bash', 'Read', 'Edit', 'Grep'][h % 4 + 1], 'success': h % 19 > 0,
                                    'latency_ms': h % 9000, 'project_path': project}::VARIANT
           WHEN 'file_edited' THEN {'file_path': project || '/src/file_' || h % 400 || '.py', 'success': true,
                                    'lines_added': h % 30, 'lines_removed': h % 7, 'project_path': project}::VARIANT
           ELSE {'project_path': project}::VARIANT
       END,
       CASE WHEN is_answer THEN cost END, printf('%08x-01de-4000-8000-000000000000', s), 'transcript', 2, ts, project,
       CASE WHEN is_answer THEN model END, CASE WHEN is_answer THEN counted END, CASE WHEN is_answer THEN 100 END,
       CASE WHEN is_answer THEN 50 END, CASE WHEN is_answer THEN h % 900 END, CASE WHEN is_answer THEN 0 END,
       CASE WHEN is_answer THEN h % 90000 END
  FROM (SELECT *, $1 + to_microseconds(i * $2) AS ts, activity = 'claude_responded' AS is_answer,
               'user_' || s % 20 || '@example.org' AS customer, '/home/robin/project-' || s % 12 AS project,
               ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-4-5-20251001', 'claude-opus-4-8'][h % 4 + 1] AS model,
               h % 1000 / 1000.0 AS cost, h % 100 > 0 AS counted
          FROM (SELECT i, (hash(i) % 1000000)::INTEGER AS h, i // (40 * 400) * 40 + i % 40 AS s,
                       CASE WHEN hash(i + 1) % 100 < 34 THEN 'claude_responded' WHEN hash(i + 1) % 100 < 64 THEN 'tool_called'
                            WHEN hash(i + 1) % 100 < 73 THEN 'user_asked' WHEN hash(i + 1) % 100 < 83 THEN 'file_edited'
                            WHEN hash(i + 1) % 100 < 90 THEN 'turn_completed' ELSE 'message_injected' END AS activity
                  FROM range($3, $4) AS r(i)))"""


def built(rows: int) -> Home:
    """A home whose warehouse holds so many activities and their rollups; kept between runs of one schema."""
    base = activities.warehouse_with(min(rows, WHOLE_MAX), CACHE)
    home = Home(CACHE / base.name.replace(f"base-{min(rows, WHOLE_MAX)}", f"page-{rows}"))
    if (home.path / "complete").exists():
        return home
    shutil.rmtree(home.path, ignore_errors=True)
    home.make()
    shutil.copytree(base, home.warehouse, dirs_exist_ok=True)
    warehouse = DuckDBWarehouse(home.warehouse)
    try:
        _fill(warehouse, rows)
        Runner(warehouse, load()).run("roll_up_activity")
        warehouse.query("CHECKPOINT")
    finally:
        warehouse.close()
    (home.path / "complete").touch()
    return home


def _fill(warehouse: DuckDBWarehouse, rows: int) -> None:
    """The whole ones become the latest, the others are put before them."""
    whole = warehouse.count()
    begin, step = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=DAYS), DAYS * 86_400_000_000 // rows
    warehouse.query(
        "UPDATE CLAUDE_STREAM_V2 SET ts = $1 + to_microseconds((epoch_us(ts) - epoch_us($2)) // $3)",
        [
            begin + timedelta(microseconds=(rows - whole) * step),
            activities.BASE_BEGIN.replace(tzinfo=None),
            rows // whole,
        ],
    )
    for low in range(0, rows - whole, OLDER_BATCH):
        warehouse.query(_OLDER, [begin, step, low, min(low + OLDER_BATCH, rows - whole)])
    warehouse.query("CHECKPOINT")


# -- the questions -------------------------------------------------------------------------------------------------


class Unrolled:
    """The same warehouse, as if no task had ever run."""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self._warehouse = warehouse

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        if sql == text("page_rows_offset"):
            return Answer((), (), [], "")
        return self._warehouse.query(sql, parameters, rows_max=rows_max)


def ask(folder: Path, runs: int, is_rolled: bool) -> dict[str, Any]:
    """Wall and CPU milliseconds of each question, in this process."""
    warehouse = DuckDBWarehouse(folder)
    pages = Pages(warehouse if is_rolled else cast(Warehouse, Unrolled(warehouse)), completeness=list)
    asked: dict[str, Callable[[], object]] = {
        **{f"overview {days} days": partial(pages.overview, days, "model", "Europe/Berlin") for days in (1, 7, 30, 90)},
        "recent": pages.recent, "sessions": lambda: pages.sessions(50),
        "session": lambda: pages.timeline(session), "projects 30 days": lambda: pages.projects(30, "Europe/Berlin"),
        "status": lambda: (warehouse.count(), warehouse.data_as_of()),
    }  # fmt: skip
    try:
        found: dict[str, Any] = {}
        for name, question in asked.items():
            if name == "session":
                session = pages.sessions(1).sessions[0].id
            found[name] = [timed(question) for _ in range(runs)]
        return {"questions": found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    finally:
        pages.close()
        warehouse.close()


def asked_apart(home: Home, runs: int, *, is_rolled: bool) -> dict[str, Any]:
    """In a process of its own, so that its memory is the questions' alone."""
    command = [sys.executable, __file__, "--ask", str(home.warehouse), "--runs", str(runs)]
    done = subprocess.run(
        command + ([] if is_rolled else ["--unrolled"]), check=True, capture_output=True, text=True
    ).stdout
    found = json.loads(done)
    return {"peak_mb": found["peak_mb"], "questions": {
        name: {
            "cold_ms": round(times[0][0], 1), "warm_ms": round(statistics.median(wall for wall, _ in times[1:]), 1),
            "warm_cpu_ms": round(statistics.median(cpu for _, cpu in times[1:]), 1),
        } for name, times in found["questions"].items()
    }}  # fmt: skip


def timed(question: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    question()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activities", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    parser.add_argument("--without-browser", action="store_true")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--unrolled", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        print(json.dumps(ask(given.ask, given.runs, not given.unrolled)))
        return
    CACHE.mkdir(exist_ok=True)
    sizes = {
        str(rows): {
            "rollups": asked_apart(built(rows), given.runs, is_rolled=True),
            "stream": asked_apart(built(rows), given.runs, is_rolled=False),
        }
        for rows in given.activities
    }
    for rows, found in sizes.items():
        show_questions(int(rows), found)
    seen = {} if given.without_browser else visits(built(given.activities[0]), given.runs)
    show_visits(seen)
    reached = _is_reached(sizes, seen)
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "page.json").write_text(json.dumps({
        "benchmark": "page", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        "goals": {"visit_ms": GOAL_MS, "question_ms": QUESTION_GOAL_MS, "peak_mb": GOAL_MB}, "reached": reached, "sizes": sizes,
        "visits_ms": {name: [{what: round(ms, 1) for what, ms in run.items()} for run in runs] for name, runs in seen.items()},
    }, indent=2) + "\n")  # fmt: skip
    print(
        f"goals {'reached' if all(reached.values()) else f'missed: {[name for name, ok in reached.items() if not ok]}'}"
    )
    sys.exit(0 if all(reached.values()) else 1)


def _is_reached(sizes: dict[str, Any], seen: dict[str, list[dict[str, float]]]) -> dict[str, bool]:
    rolled = [found["rollups"] for found in sizes.values()]
    reached = {
        "questions": all(
            times["warm_ms"] < QUESTION_GOAL_MS for found in rolled for times in found["questions"].values()
        ),
        "memory": all(found["peak_mb"] < GOAL_MB for found in rolled),
    }
    if seen:
        painted = [run["painted"] for runs in seen.values() for run in runs]
        figures = [run["figures"] for name in ("cold", "again") for run in seen[name]]
        reached["visits"] = max(*painted, *figures) < GOAL_MS
    return reached


def show_questions(rows: int, found: dict[str, Any]) -> None:
    peaks = f"{found['rollups']['peak_mb']} MB with rollups, {found['stream']['peak_mb']} MB from the stream"
    print(f"{rows:,} activities                  with rollups                     from the stream alone      {peaks}")
    for name, times in found["rollups"]["questions"].items():
        both = (times, found["stream"]["questions"][name])
        print(f"{name:<18} " + "   ".join(
            f"cold {each['cold_ms']:7.0f}  warm {each['warm_ms']:7.0f} ms  CPU {each['warm_cpu_ms']:7.0f}" for each in both
        ))  # fmt: skip


def show_visits(seen: dict[str, list[dict[str, float]]]) -> None:
    for name, runs in seen.items():
        shown = "   ".join(
            f"{what} {statistics.median(run[what] for run in runs):5.0f}" for what in ("painted", "figures", "chart")
        )
        print(f"{name:<18} {shown}   worst figures {max(run['figures'] for run in runs):5.0f} ms")


if __name__ == "__main__":
    main()
