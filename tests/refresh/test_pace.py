"""Who may start when: decided without threads and clocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from tests.refresh.house import noting

from cdesk.refresh.pace import BACKOFF_SECONDS, CLOCK_SECONDS_MAX, MANY, REST, Standing, at_once, plan
from cdesk.refresh.task import parse

AT_ONCE = 2
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Tasks:
    """Tasks by name, whose streams have rows when told so."""

    def __init__(self, **more: str) -> None:
        self.standings = {name: Standing(parse(name, noting(name, text, fresh="1 s"))) for name, text in more.items()}
        self.rows: dict[str, int] = {}

    def __getitem__(self, name: str) -> Standing:
        return self.standings[name]

    def changed(self, names: Iterable[str], rows: int = 1) -> None:
        self.rows.update({f"{name.upper()}_CHANGES": rows for name in names})

    def plan(self, now: float, utc: datetime = NOON) -> tuple[list[str], float | None]:
        ready, seconds = plan(self.standings.values(), lambda name: self.rows.get(name, 0), now, utc, AT_ONCE)
        return [standing.task.name for standing in ready], seconds

    def begin(self, name: str, now: float) -> None:
        self[name].begin(now, NOON)
        self.rows.pop(f"{name.upper()}_CHANGES", None)

    def end(self, name: str, now: float, *, has_failed: bool = False, was_first_look: bool = False) -> None:
        self[name].end(now, NOON, has_failed=has_failed, was_first_look=was_first_look)

    def run(self, name: str, start: float, took: float) -> None:
        self.begin(name, start)
        self.end(name, start + took)


def test_nothing_to_do_is_no_time_to_look_again() -> None:
    """Only news wakes who sleeps."""
    assert Tasks(a="", b="").plan(0.0) == ([], None)


def test_the_first_change_is_answered_at_once() -> None:
    """However long a time it was quiet."""
    tasks = Tasks(a="")
    tasks.changed("a")
    assert tasks.plan(1000.0) == (["a"], None)


def test_a_burst_is_gathered() -> None:
    """After a start, what comes joins the next run, three quarters of the freshness later."""
    tasks = Tasks(a="")
    tasks.changed("a")
    tasks.run("a", 10.0, 0.01)
    tasks.changed("a")
    assert tasks.plan(10.1) == ([], 0.75 - (10.1 - 10.0))
    assert tasks.plan(10.75) == (["a"], None)


def test_a_large_burst_is_not() -> None:
    """So many rows are worth a run of their own."""
    tasks = Tasks(a="")
    tasks.run("a", 10.0, 0.01)
    tasks.changed("a", MANY)
    assert tasks.plan(10.1) == (["a"], None)


def test_a_heavy_task_rests() -> None:
    """It takes no more than half of the time, whatever it promised and however much has come."""
    tasks = Tasks(a="")
    tasks.run("a", 10.0, 4.0)
    tasks.changed("a", MANY)
    assert tasks.plan(14.0) == ([], REST * 4.0)
    assert tasks.plan(14.0 + REST * 4.0) == (["a"], None)


def test_a_first_look_does_not_count() -> None:
    """All the rows there are say nothing about the next few."""
    tasks = Tasks(a="")
    tasks.begin("a", 10.0)
    tasks.end("a", 40.0, was_first_look=True)
    tasks.changed("a")
    assert tasks.plan(40.0) == (["a"], None)


def test_failures_are_repeated_after_longer_and_longer() -> None:
    """Without new data, too: theirs still waits."""
    tasks = Tasks(a="")
    pauses = []
    now = 0.0
    for _ in range(12):
        tasks.changed("a")
        tasks.begin("a", now)
        tasks.end("a", now, has_failed=True)
        tasks.changed("a")
        ready, seconds = tasks.plan(now)
        assert ready == [] and seconds is not None
        pauses.append(seconds)
        now += seconds
    assert pauses[:3] == [BACKOFF_SECONDS, 2 * BACKOFF_SECONDS, 4 * BACKOFF_SECONDS] and pauses[-1] == 300.0


def test_so_many_run_side_by_side() -> None:
    """The others wait until one ends."""
    tasks = Tasks(a="", b="", c="", d="")
    tasks.changed("abcd")
    ready, _ = tasks.plan(0.0)
    assert ready == ["a", "b"] and len(ready) == AT_ONCE
    for name in ready:
        tasks.begin(name, 0.0)
    assert tasks.plan(0.1) == ([], None)
    tasks.end("b", 0.2)
    assert tasks.plan(0.2) == (["c"], None)


def test_half_of_the_cores_are_for_tasks() -> None:
    """One at least, and never more than four."""
    assert [at_once(cores) for cores in (1, 2, 3, 4, 8, 64)] == [1, 1, 1, 2, 4, 4]


def test_who_has_waited_longest_comes_first() -> None:
    """When there is more to do than can be done, everyone has a turn."""
    tasks = Tasks(a="", b="", c="", d="")
    turns: list[str] = []
    for turn in range(8):
        tasks.changed("abcd", MANY)
        [first, *_], _ = tasks.plan(float(turn))
        turns.append(first)
        tasks.run(first, float(turn), 0.1)
    assert turns == list("abcdabcd")


def test_a_task_runs_after_those_it_names() -> None:
    """In one wake: the first runs, then the second."""
    tasks = Tasks(a="", b="-- after: a\n")
    tasks.changed("ab")
    assert tasks.plan(0.0)[0] == ["a"]
    tasks.begin("a", 0.0)
    assert tasks.plan(0.1)[0] == []
    tasks.end("a", 0.2)
    assert tasks.plan(0.2)[0] == ["b"]


def test_a_task_does_not_wait_for_ever() -> None:
    """The one before it had its turn, though there is work for it again."""
    tasks = Tasks(a="", b="-- after: a\n")
    tasks.changed("ab")
    tasks.plan(0.0)
    tasks.begin("a", 0.1)
    tasks.changed("a")
    tasks.end("a", 5.0)
    assert tasks.plan(5.0)[0] == ["b"]


def test_a_task_waits_for_one_that_rests() -> None:
    """The same change is told to both, in order."""
    tasks = Tasks(a="", b="-- after: a\n")
    tasks.run("a", 0.0, 0.1)
    tasks.changed("ab")
    assert tasks.plan(0.2) == ([], 0.55)
    assert tasks.plan(0.75)[0] == ["a"]


def test_a_task_does_not_wait_for_one_that_fails_or_is_suspended() -> None:
    """It goes on alone."""
    tasks = Tasks(a="", b="-- after: a\n")
    tasks.changed("ab")
    tasks.begin("a", 0.0)
    tasks.end("a", 0.1, has_failed=True)
    tasks.changed("a")
    assert tasks.plan(0.1)[0] == ["b"]
    tasks["a"].failures, tasks["a"].is_suspended = 0, True
    assert tasks.plan(0.2)[0] == ["b"]


def test_scheduled_times_come() -> None:
    """The wait ends then, or sooner to look at the clock of a machine that slept."""
    nothing = dict.fromkeys(["A_CHANGES"], 0).__getitem__
    daily = Standing(parse("a", noting("a", when="cron 0 13 * * * UTC")), next_time=NOON + timedelta(hours=1))
    assert plan([daily], nothing, 0.0, NOON, AT_ONCE) == ([], CLOCK_SECONDS_MAX)
    assert plan([daily], nothing, 0.0, NOON + timedelta(minutes=59), AT_ONCE) == ([], 60.0)
    ready, _ = plan([daily], nothing, 0.0, NOON + timedelta(hours=5), AT_ONCE)
    assert ready == [daily]
    assert daily.begin(0.0, NOON + timedelta(hours=5)) == NOON + timedelta(hours=1)
    daily.end(0.0, NOON + timedelta(hours=5), has_failed=False, was_first_look=False)
    assert daily.next_time == NOON + timedelta(hours=25)


def test_who_promises_little_gathers_a_large_burst_too() -> None:
    """A look at everything once a minute is not worth more looks because much has come."""
    tasks = Tasks()
    tasks.standings["a"] = Standing(parse("a", noting("a", fresh="1 min")))
    tasks.run("a", 10.0, 0.01)
    tasks.changed("a", MANY)
    assert tasks.plan(10.1) == ([], 45.0 - (10.1 - 10.0))
