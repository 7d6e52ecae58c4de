"""Datasets: our statement beside the plain joins a reference package writes, and the best SQL we know by hand.

    python benchmarks/dataset.py                    a million activities, and five: about an hour, nearly all of it the plain joins'
    python benchmarks/dataset.py --quick            200,000; --only last_in_between: one dataset
    python benchmarks/dataset.py --rows 1000000     one size; --memory 256MB: as the warehouse of a home has it
    python benchmarks/dataset.py --per-customer 100 short histories, as a shop has them

Six datasets of one primary activity and one appended: first ever, last before, first after, last in between, aggregate
all ever, aggregate in between. The stream: 5,000 activities a customer (`--per-customer`), at random times of a year; a
fifth of them the primary activity, a fifth the appended one; two features. Plain joins grow with the square of it. It lies once in the order of arrival and once sorted by
activity, customer and time. Every answer is summed up whole, in any order, and all three must give the same sum.

The plain joins are ours, written as dbt-activity-schema's macros write theirs: each primary row joined with every row
of the window, then the smallest or largest text of time and value, then joined back. By hand means for this data alone:
no two activities of a customer at one time, no customer without a name, so nothing is spent on ties.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb
from benchmarks import machine

from cdesk.dataset import compiled, read
from cdesk.sql.dialect import to_duckdb

SIZES = (1_000_000, 5_000_000)
QUICK = 200_000
ROUNDS = 3
PATIENCE_S = 5.0
"""A plain join that takes longer is measured once."""
PER_CUSTOMER = 5_000
"""A person's some weeks with Claude Code."""
LAYOUTS = {"arrival": "ts", "sorted": "activity, customer, ts"}
WINDOWED = ("last_before", "first_after", "last_in_between", "aggregate_in_between")
GOALS = {"times_plain": 5.0, "times_by_hand": 2.0}

_STREAM = """
CREATE TABLE {table} AS
SELECT uuid()::VARCHAR AS activity_id, ts, customer, NULL::VARCHAR AS anonymous_customer_id, activity,
       CAST(CAST('{{"page": "p' || (n % 97) || '", "amount": ' || (n % 50) || '}}' AS JSON) AS VARIANT) AS feature_json,
       (n % 500) / 4.0 AS revenue_impact, NULL::VARCHAR AS link
  FROM (SELECT n, 'customer_' || (hash(n, 1) % {customers}) || '@example.org' AS customer,
               CASE hash(n, 2) % 5 WHEN 0 THEN 'visited_page' WHEN 1 THEN 'bought_something' ELSE 'did_' || hash(n, 3) % 6 END
                   AS activity,
               TIMESTAMP '2025-01-01' + to_microseconds(((hash(n, 4) % 31_536_000) * 1_000_000 + n % 1_000_000)::BIGINT) AS ts
          FROM range({rows}) AS r(n))
 ORDER BY {order}
"""
_WORDS = (
    "primary all visited_page show activity_id, ts as seen_at append {relationship} bought_something show {columns}"
)
_ROW, _SUMS = "ts as other_at, page", "count(activity_id) as times, sum(amount:integer) as amount"
WORDS = {
    "first_ever": _WORDS.format(relationship="first ever", columns=_ROW),
    "last_before": _WORDS.format(relationship="last before", columns=_ROW),
    "first_after": _WORDS.format(relationship="first after", columns=_ROW),
    "last_in_between": _WORDS.format(relationship="last in between", columns=_ROW),
    "aggregate_all_ever": _WORDS.format(relationship="aggregate ever", columns=_SUMS),
    "aggregate_in_between": _WORDS.format(relationship="aggregate in between", columns=_SUMS),
}

# -- as a package writes it ----------------------------------------------------------------------------------------

_PLAIN = """
WITH p AS (
    SELECT activity_id, customer, ts, lead(ts) OVER (PARTITION BY customer ORDER BY ts, activity_id) AS next_ts
      FROM {table} WHERE activity = 'visited_page'
), a AS (
    SELECT activity_id, customer, ts, CAST(feature_json.page AS VARCHAR) AS page, TRY_CAST(feature_json.amount AS BIGINT) AS amount,
           row_number() OVER (PARTITION BY customer ORDER BY ts, activity_id) AS n
      FROM {table} WHERE activity = 'bought_something'
), joined AS (
    SELECT p.activity_id, {columns}
      FROM p LEFT JOIN a ON a.customer = p.customer AND {fits}
     GROUP BY p.activity_id
)
SELECT p.activity_id, p.ts AS seen_at, {found} FROM p LEFT JOIN joined USING (activity_id)
"""


def _plain(fits: str, pick: str = "") -> str:
    """pick: min or max, of time and value as one text; without it, sums."""
    if pick:
        columns = (
            f"{pick}(CAST(a.ts AS VARCHAR) || ';.,;' || CAST(a.ts AS VARCHAR)) AS t, "
            f"{pick}(CAST(a.ts AS VARCHAR) || ';.,;' || a.page) AS page"
        )
        found = (
            "CAST(split_part(joined.t, ';.,;', 2) AS TIMESTAMP) AS other_at, split_part(joined.page, ';.,;', 2) AS page"
        )
    else:
        columns = "count(a.activity_id) AS times, coalesce(sum(a.amount), 0) AS amount"
        found = "joined.times, joined.amount"
    return _PLAIN.replace("{columns}", columns).replace("{fits}", fits).replace("{found}", found)


_BETWEEN = "a.ts > p.ts AND (a.ts <= p.next_ts OR p.next_ts IS NULL)"
PLAIN = {
    "first_ever": _plain("a.n = 1", "min"),
    "last_before": _plain("a.ts < p.ts", "max"),
    "first_after": _plain("a.ts > p.ts", "min"),
    "last_in_between": _plain(_BETWEEN, "max"),
    "aggregate_all_ever": _plain("TRUE"),
    "aggregate_in_between": _plain(_BETWEEN),
}

# -- by hand -------------------------------------------------------------------------------------------------------

_P = "SELECT activity_id, customer, ts FROM {table} WHERE activity = 'visited_page'"
_A = "SELECT customer, ts, CAST(feature_json.page AS VARCHAR) AS page FROM {table} WHERE activity = 'bought_something'"
_SUMMED = "SELECT customer, ts, TRY_CAST(feature_json.amount AS BIGINT) AS amount FROM {table} WHERE activity = 'bought_something'"
_NEXT = (
    "SELECT activity_id, customer, ts, coalesce(lead(ts) OVER (PARTITION BY customer ORDER BY ts), 'infinity') AS next_ts "
    "FROM {table} WHERE activity = 'visited_page'"
)
BY_HAND = {
    "first_ever": f"WITH a AS (SELECT customer, arg_min(struct_pack(ts, page), ts) AS one FROM ({_A}) GROUP BY customer) "
    f"SELECT p.activity_id, p.ts AS seen_at, a.one.ts AS other_at, a.one.page AS page FROM ({_P}) p LEFT JOIN a USING (customer)",
    "last_before": f"SELECT p.activity_id, p.ts AS seen_at, a.ts AS other_at, a.page FROM ({_P}) p "
    f"ASOF LEFT JOIN ({_A}) a ON a.customer = p.customer AND p.ts > a.ts",
    "first_after": f"SELECT p.activity_id, p.ts AS seen_at, a.ts AS other_at, a.page FROM ({_P}) p "
    f"ASOF LEFT JOIN ({_A}) a ON a.customer = p.customer AND p.ts < a.ts",
    "last_in_between": "SELECT p.activity_id, p.ts AS seen_at, CASE WHEN a.ts > p.ts THEN a.ts END AS other_at, "
    f"CASE WHEN a.ts > p.ts THEN a.page END AS page FROM ({_NEXT}) p "
    f"ASOF LEFT JOIN ({_A}) a ON a.customer = p.customer AND p.next_ts >= a.ts",
    "aggregate_all_ever": f"SELECT p.activity_id, p.ts AS seen_at, coalesce(times, 0) AS times, coalesce(amount, 0) AS amount FROM ({_P}) p "
    f"LEFT JOIN (SELECT customer, count(*) AS times, sum(amount) AS amount FROM ({_SUMMED}) GROUP BY customer) USING (customer)",
    "aggregate_in_between": f"WITH p AS ({_P}) SELECT p.activity_id, p.ts AS seen_at, coalesce(times, 0) AS times, coalesce(amount, 0) AS amount "
    "FROM p LEFT JOIN (SELECT p.activity_id, count(*) AS times, sum(amount) AS amount "
    f"FROM ({_SUMMED}) a ASOF JOIN p ON a.customer = p.customer AND a.ts > p.ts GROUP BY p.activity_id) USING (activity_id)",
}  # fmt: skip

# -- the run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """Seconds: medians. rows: of the answer"""

    dataset: str
    rows_of_stream: int
    layout: str
    rows: int
    ours_s: float
    plain_s: float
    by_hand_s: float

    @property
    def times_plain(self) -> float:
        return self.plain_s / self.ours_s

    @property
    def times_by_hand(self) -> float:
        return self.ours_s / self.by_hand_s


def summed(sql: str, columns: tuple[str, ...]) -> str:
    """The whole answer as two figures; what it holds must be made to know them."""
    whole = ", ".join(f"CAST({name} AS VARCHAR)" for name in columns)
    return f"SELECT count(*), sum(hash({whole})::HUGEINT) FROM ({sql})"


def measure(connection: duckdb.DuckDBPyConnection, name: str, rows: int, layout: str, rounds: int) -> Figure:
    statement = compiled(read(WORDS[name]), stream=f"stream_{layout}", is_ordered=False)
    columns = (
        ("activity_id", "seen_at", "times", "amount")
        if name.startswith("aggregate")
        else ("activity_id", "seen_at", "other_at", "page")
    )
    table = f"stream_{layout}"
    asked: dict[str, tuple[str, list[Any]]] = {
        "ours": (summed(to_duckdb(statement.sql)[0], columns), list(statement.values)),
        "plain": (summed(PLAIN[name].replace("{table}", table), columns), []),
        "by_hand": (summed(BY_HAND[name].replace("{table}", table), columns), []),
    }
    took: dict[str, list[float]] = {who: [] for who in asked}
    answers: dict[str, Any] = {}
    for number in range(rounds):
        for who, (sql, values) in asked.items():
            if who == "plain" and number and took[who][0] > PATIENCE_S:
                continue
            start = time.perf_counter()
            answers[who] = connection.execute(sql, values).fetchall()[0]
            took[who].append(time.perf_counter() - start)
    assert len(set(answers.values())) == 1, f"{name}: they differ: {answers}"
    medians = {who: statistics.median(times) for who, times in took.items()}
    return Figure(name, rows, layout, int(answers["ours"][0]), medians["ours"], medians["plain"], medians["by_hand"])


def run(rows: int, per_customer: int, rounds: int, memory: str | None, names: tuple[str, ...]) -> list[Figure]:
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        connection = duckdb.connect(str(Path(folder) / "stream.duckdb"))
        for layout, order in LAYOUTS.items():
            connection.execute(
                _STREAM.format(table=f"stream_{layout}", rows=rows, customers=max(1, rows // per_customer), order=order)
            )
        connection.execute("CHECKPOINT")
        if memory is not None:
            connection.execute(f"SET memory_limit = '{memory}'")
        for name in names:
            for layout in LAYOUTS:
                figure = measure(connection, name, rows, layout, rounds)
                told(figure)
                found.append(figure)
        connection.close()
    return found


def told(figure: Figure) -> None:
    goal = ""
    if figure.dataset in WINDOWED:
        goal = "ok" if figure.times_plain >= GOALS["times_plain"] else f"below {GOALS['times_plain']:g}"
    print(
        f"{figure.rows_of_stream:>9,}  {figure.dataset:<22}{figure.layout:<9}{figure.ours_s:8.3f} s{figure.plain_s:9.3f} s"
        f"{figure.by_hand_s:9.3f} s{figure.times_plain:8.1f} x plain  {figure.times_by_hand:5.2f} of by hand  {goal}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--per-customer", type=int, default=PER_CUSTOMER)
    parser.add_argument("--only", action="append", choices=WORDS)
    parser.add_argument("--memory")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = (QUICK,) if given.quick else (given.rows,) if given.rows else SIZES
    facts = machine.facts()
    print("   stream  dataset               layout        ours      plain    by hand", file=sys.stderr)
    found = [
        figure
        for rows in sizes
        for figure in run(rows, given.per_customer, given.rounds, given.memory, tuple(given.only or WORDS))
    ]
    figures = [
        {**asdict(figure), "times_plain": figure.times_plain, "times_by_hand": figure.times_by_hand} for figure in found
    ]
    result = {
        "machine": facts,
        "goals": GOALS,
        "memory": given.memory,
        "per_customer": given.per_customer,
        "figures": figures,
    }
    if given.json:
        print(json.dumps(result))
    if (sizes, given.per_customer, given.memory, given.only) == (SIZES, PER_CUSTOMER, None, None):
        (machine.RESULTS / "dataset.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
