"""Tasks run when they should, once each in effect, and never for nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.refresh.house import START, activity, counted, noting, parted, tasks, with_tables

from cdesk.clock import Clock
from cdesk.errors import UsageError, WarehouseUnready
from cdesk.refresh import report
from cdesk.refresh.history import PRUNE_EVERY, RUNS_KEPT
from cdesk.refresh.runner import FAILURES_MAX, Incident, Runner
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import ATOMS

PATIENCE_S = 60
LOOK_S = 0.01
BROKEN = noting("broken").replace(":now FROM", "CAST(MIN(customer) AS TIMESTAMP_NTZ) FROM")
ENDLESS = noting("endless").replace(
    "FROM ENDLESS_CHANGES", "FROM ENDLESS_CHANGES AS a" + "".join(f", ENDLESS_CHANGES AS {name}" for name in "bcdefg")
)
LOCKED = noting("locked").replace("writes: NOTED", "writes: NOTED, INSIGHT_ATOMS") + (
    "UPDATE INSIGHT_ATOMS SET is_stale = TRUE WHERE id = 'x';"
)


class Watched(Runner):
    """Notes how long it means to sleep."""

    def _wait(self, seconds: float | None) -> None:
        self.sleeps = [*getattr(self, "sleeps", []), seconds]
        super()._wait(seconds)


class House:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.incidents: list[Incident] = []
        self.now = START
        self.warehouse = with_tables(DuckDBWarehouse(home / "warehouse"))
        self.runners: list[Watched] = []

    def open(self, files: Mapping[str, str], **more: Any) -> Watched:
        found = Watched(self.warehouse, tasks(self.home / "tasks", files), tell=self.incidents.append, **more)
        self.runners.append(found)
        return found

    def held(self) -> Clock:
        return Clock(now_ns=lambda: int(self.now.timestamp()) * 1_000_000_000)

    def restart(self, files: Mapping[str, str], **more: Any) -> Watched:
        self.close()
        self.warehouse = DuckDBWarehouse(self.home / "warehouse")
        return self.open(files, **more)

    def close(self) -> None:
        while self.runners:
            self.runners.pop().stop()
        self.warehouse.close()

    def until(self, predicate: Callable[[], bool]) -> None:
        """Looks whenever something has moved in the runner, and often: a run that begins tells nobody."""
        runner, last = self.runners[-1], time.monotonic() + PATIENCE_S
        with runner._moved:
            while not predicate():
                assert time.monotonic() < last
                runner._moved.wait(LOOK_S)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.warehouse.query(sql).rows

    def counted(self) -> dict[str, int]:
        return dict(self.rows("SELECT customer, n FROM COUNTED WHERE n <> 0"))

    def has_counted(self, n: int) -> bool:
        return self.counted() == {"ada": n}

    def noted(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT what FROM NOTED ORDER BY noted_at")]


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    deployed(tmp_path / "warehouse")
    found = House(tmp_path)
    yield found
    found.close()


# -- what runs -----------------------------------------------------------------------------------------------------


def test_every_run_is_told_when_it_is_in_effect(house: House) -> None:
    """To whoever builds on what tasks write; a run that failed is told, too."""
    told: list[tuple[str, int, bool]] = []
    runner = house.open(
        {"count_activities": counted(), "broken": BROKEN},
        on_done=lambda run: told.append((run.name, run.rows, bool(run.error))),
    )
    house.warehouse.merge([activity("a")])
    runner.run_pending()
    assert sorted(told) == [("broken", 0, True), ("count_activities", 1, False)]


def test_derived_tables_follow_every_change(house: House) -> None:
    """New facts and changed ones; a second look has nothing to do, and is no run."""
    runner = house.open({"count_activities": counted()})
    assert runner.run_pending() == []
    house.warehouse.merge([activity("a"), activity("b", "bob")])
    assert [(run.error, run.rows) for run in runner.run_pending()] == [(None, 2)]
    assert house.counted() == {"ada": 1, "bob": 1}
    house.warehouse.merge([activity("a", source="transcript", exit_code=1), activity("c", "bob")])
    runner.run_pending()
    assert house.counted() == {"ada": 1, "bob": 2}
    assert runner.run_pending() == []
    assert (
        house.rows("SELECT name, state, rows_changed, scheduled_from, attempt_number FROM TASK_HISTORY")
        == [("count_activities", "SUCCEEDED", 2, "TRIGGER", 1)] * 2
    )


def test_a_commit_wakes_the_runner(house: House) -> None:
    """Nobody asks it to look."""
    house.open({"count_activities": counted()}).start()
    for number in range(5):
        house.warehouse.merge([activity(f"k{number}")])
        house.until(partial(house.has_counted, number + 1))


def test_an_idle_runner_sleeps_until_there_is_news(house: House) -> None:
    """No timed wake-up, and an append stream that only saw changed rows makes no run."""
    runner = house.open({"count_activities": counted(), "b": noting("b")})
    runner.start()
    house.warehouse.merge([activity("a")])
    house.until(lambda: house.counted() == {"ada": 1} and house.noted() == ["b"])
    house.warehouse.merge([activity("a", source="transcript", exit_code=1)])
    house.until(lambda: not any(runner.has_data(task.name) for task in runner.tasks))
    house.until(lambda: runner.sleeps[-1] is None)
    assert house.noted() == ["b"]
    sleeps = len(runner.sleeps)
    house.warehouse.query("SELECT count(*) FROM CLAUDE_STREAM_V2")
    house.warehouse.merge([activity("a", source="transcript", exit_code=1)])  # nothing new: no commit
    assert runner.sleeps[sleeps:] in ([], [None])  # at most the end of the last run


def test_what_a_task_is_not_about_passes_unread(house: House) -> None:
    """No run, but progress: it is not looked at again; what it is about wakes it."""
    runner = house.open({"note_calls": noting("note_calls", "-- about: file_read, tool_called\n")})
    other = msgspec.structs.replace(activity("b"), activity="user_asked")
    house.warehouse.merge([other])
    assert runner.run_pending() == [] and not runner.has_data("note_calls")
    house.warehouse.merge([activity("a")])
    assert [run.rows for run in runner.run_pending()] == [1]


def test_a_burst_is_one_run(house: House) -> None:
    """What comes while a run waits or is under way is in it, or in the next one."""
    runner = house.open({"locked": LOCKED})
    runner.start()
    with house.warehouse.changes._locks[ATOMS]:
        for number in range(20):
            house.warehouse.merge([activity(f"k{number}")])
    house.until(lambda: not runner.has_data("locked"))
    assert len(house.rows("SELECT * FROM TASK_HISTORY")) <= 2


def test_tasks_run_after_those_they_name(house: House) -> None:
    """In one wake."""
    runner = house.open({"a": noting("a", "-- after: b\n"), "b": noting("b", "-- after: c\n"), "c": noting("c")})
    assert runner.run_pending() == []  # their first look is over
    runner.start()
    house.warehouse.merge([activity("a")])
    house.until(lambda: len(house.noted()) == 3)
    assert house.noted() == ["c", "b", "a"]


def test_what_comes_between_two_tasks_reaches_the_second(house: House) -> None:
    """It saw the change before the first had derived anything from it: it runs again after the first has."""
    first = counted()
    header, _, _ = noting("b", "-- after: count_activities\n").partition("\n\n")
    second = (
        header
        + "\n\nINSERT INTO NOTED (what, noted_at) SELECT (SELECT SUM(n) FROM COUNTED), :now FROM (SELECT COUNT(*) FROM B_CHANGES);\n"
    )
    files = {"count_activities": first, "b": second}
    runner = house.open(files)
    house.warehouse.merge([activity("a")])
    runner.run("count_activities")
    house.warehouse.merge([activity("b")])
    runner.run("b")
    assert house.noted() == ["1"] and not runner.has_data("b")
    assert [run.name for run in runner.run_pending()] == ["count_activities", "b"]
    assert house.noted() == ["1", "2"]
    house.warehouse.merge([activity("c")])
    runner.run("b")
    runner.run("count_activities")
    runner = house.restart(files)  # killed before the second had its turn
    assert [run.name for run in runner.run_pending()] == ["b"]
    assert house.noted()[-1] == "3" and runner.run_pending() == []


def test_atoms_wake_who_reads_them(house: House) -> None:
    """One task's output is another's change."""
    makes = counted().replace("count_activities", "make_atoms").replace("COUNT_CHANGES", "MAKE_CHANGES")
    header, _, _ = makes.replace("writes: COUNTED", "writes: INSIGHT_ATOMS").partition("\n\n")
    makes = header + (
        "\n\nINSERT INTO INSIGHT_ATOMS (id, ts, customer, subject, metric, value, valid_from)"
        " SELECT activity_id, :now, customer, 's', 'm', TO_VARIANT(1), :now FROM MAKE_CHANGES;"
    )
    house.open({"make_atoms": makes, "b": noting("b").replace("on CLAUDE_STREAM_V2", "on INSIGHT_ATOMS")}).start()
    house.warehouse.merge([activity("a")])
    house.until(lambda: house.noted() == ["b"])


# -- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_conflict_is_tried_again(house: House) -> None:
    """Two write the same row: the second attempt finds it free."""
    runner = house.open({"count_activities": counted()})
    house.warehouse.merge([activity("a")])
    runner.run_pending()
    house.warehouse.merge([activity("b")])
    other = house.warehouse._connection.cursor()
    other.execute("BEGIN")
    other.execute("UPDATE COUNTED SET n = n + 10")

    class Pause(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            other.execute("COMMIT")
            return False

    runner._is_stopping = Pause()
    assert [(run.error, run.attempt) for run in runner.run_pending()] == [(None, 2)]
    assert house.counted() == {"ada": 12}
    other.close()


def test_a_task_that_goes_on_failing_is_suspended(house: House) -> None:
    """After so many failures, with an incident; nothing of it is in effect, and others go on."""
    runner = house.open({"broken": BROKEN, "count_activities": counted()})
    house.warehouse.merge([activity("a")])
    for _ in range(FAILURES_MAX):
        assert house.incidents == []
        runner.run_pending()
    assert runner.run_pending() == [] and house.noted() == [] and house.counted() == {"ada": 1}
    [incident] = house.incidents
    assert incident.task == "broken" and "ada" in incident.error and "task resume broken" in incident.remedy
    assert house.rows("SELECT task_state, suspended_by, failures_in_a_row, health_status FROM V_TASK_MONITORING ORDER BY 1") == [
        ("started", None, 0, "healthy"), ("suspended", "failures", FAILURES_MAX, "critical"),
    ]  # fmt: skip
    assert house.rows("SELECT stream_name, pending_records FROM V_STREAM_LAG ORDER BY 2") == [
        ("COUNT_CHANGES", 0), ("BROKEN_CHANGES", 1),
    ]  # fmt: skip
    runner = house.restart({"broken": BROKEN, "count_activities": counted()})
    assert runner.run_pending() == []


def test_a_mended_task_runs_again(house: House) -> None:
    """Its file has changed: what it missed is still there for it."""
    runner = house.open({"broken": BROKEN})
    house.warehouse.merge([activity("a")])
    for _ in range(FAILURES_MAX):
        runner.run_pending()
    runner = house.restart({"broken": noting("broken")})
    assert [run.error for run in runner.run_pending()] == [None]
    assert house.noted() == ["broken"]


def test_failures_do_not_stop_the_runner(house: House) -> None:
    """It pauses before it tries again, and others run meanwhile."""
    house.open({"broken": BROKEN, "count_activities": counted()}).start()
    house.warehouse.merge([activity("a")])
    house.until(lambda: house.counted() == {"ada": 1} and len(house.rows("SELECT * FROM TASK_HISTORY")) >= 2)
    house.warehouse.merge([activity("b")])
    house.until(lambda: house.counted() == {"ada": 2})


def test_stopping_breaks_a_run_off(house: House) -> None:
    """As if it had not begun: no failure, and its changes still wait."""
    runner = house.open({"endless": ENDLESS})
    house.warehouse.merge([activity(f"k{number}") for number in range(300)])
    runner.start()
    house.until(lambda: bool(runner._under_way))
    runner.stop()
    assert house.rows("SELECT last_run_state, failures_in_a_row FROM TASK_STATE") == [(None, 0)]
    assert runner.has_data("endless") and house.noted() == []


def test_compacting_waits_for_runs_and_they_for_it(house: House) -> None:
    """Neither fails by the other."""
    house.open({"count_activities": counted("1 ms"), "b": noting("b", fresh="1 ms")}).start()
    for number in range(15):
        house.warehouse.merge([activity(f"k{number}")])
        house.warehouse.compact()
    house.until(lambda: house.counted() == {"ada": 15})
    assert house.rows("SELECT DISTINCT state FROM TASK_HISTORY") == [("SUCCEEDED",)]


def test_a_failure_that_cannot_be_noted_pauses_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses both: the task is tried again, later, and the runner lives."""
    runner = house.open({"broken": BROKEN})
    house.warehouse.merge([activity("a")])

    def refuse(*given: object) -> None:
        raise WarehouseUnready("no space")

    monkeypatch.setattr(runner._history, "record_failure", refuse)
    assert runner.run_pending() == []
    standing = runner._standings["broken"]
    assert standing.failures == 1 and standing.not_before > standing.ended and not standing.is_running


# -- what a person says --------------------------------------------------------------------------------------------


def test_a_broken_part_is_left_out_alone(house: House) -> None:
    """Nothing of it is in effect, all others are; each time it is said, and in the end it is suspended, and tried no more."""
    fine, wrong = (
        "INSERT INTO NOTED (what) SELECT '{}';",
        "INSERT INTO NOTED (what) SELECT 'half'; INSERT INTO NOTED (noted_at) SELECT MIN(customer)::TIMESTAMP_NTZ FROM T_CHANGES;",
    )
    files = {
        "t": parted("t"),
        "t/a": fine.format("a"),
        "t/b": wrong,
        "t/c": "DELETE FROM NOWHERE;",
        "t/d": fine.format("d"),
    }
    runner = house.open(files)
    for number in range(FAILURES_MAX + 1):
        house.warehouse.merge([activity(f"k{number}")])
        [run] = runner.run_pending()
        assert run.error is None and sorted(house.noted()) == ["a", "d", "t"]
        assert ("without b:" in str(run.left_out) and "without c:" in str(run.left_out)) == (number < FAILURES_MAX)
    assert [incident.task for incident in house.incidents] == ["t/b", "t/c"]
    assert "task resume t`" in house.incidents[0].remedy
    told = house.rows("SELECT count(*), count(error_message) FROM TASK_HISTORY WHERE state = 'SUCCEEDED'")
    assert told == [(FAILURES_MAX + 1, FAILURES_MAX)]
    runner.resume("t")
    house.warehouse.merge([activity("again")])
    assert "without b:" in str(runner.run("t").left_out)


def test_suspended_stays_suspended(house: House) -> None:
    """Also after a restart, until it is resumed; then it catches up."""
    runner = house.open({"count_activities": counted()})
    runner.suspend("count_activities")
    house.warehouse.merge([activity("a")])
    assert runner.run_pending() == []
    runner = house.restart({"count_activities": counted()})
    assert runner.run_pending() == []
    [task] = report.tasks(house.warehouse, runner)
    assert (task.state, task.suspended_by, task.health, task.has_data) == ("suspended", "request", "warning", True)
    runner.start()
    runner.resume("count_activities")
    house.until(lambda: house.counted() == {"ada": 1})


def test_a_task_can_be_run_by_hand(house: House) -> None:
    """Suspended or not, changes or not."""
    runner = house.open({"count_activities": counted(), "n": noting("n", when="cron 0 0 1 1 * UTC")})
    runner.suspend("count_activities")
    house.warehouse.merge([activity("a")])
    assert runner.run("count_activities").rows == 1
    assert runner.run("count_activities").rows == 0
    assert runner.run("n").cause == "EXECUTE TASK" and house.noted() == ["n"]
    assert [run.task for run in report.runs(house.warehouse, runner)] == ["n", "count_activities", "count_activities"]
    with pytest.raises(UsageError, match="no task 'nobody'"):
        runner.run("nobody")


def test_a_task_that_is_gone_leaves_nothing(house: House) -> None:
    """Nothing is kept for its stream any more."""
    runner = house.open({"count_activities": counted(), "b": noting("b")})
    house.warehouse.merge([activity("a")])
    runner.run("b")
    house.restart({"b": noting("b")})
    assert house.rows("SELECT name FROM TASK_STATE") == [("b",)]
    assert house.rows("SELECT stream_name FROM _STREAM_OFFSETS") == [("B_CHANGES",)]


# -- the clock -----------------------------------------------------------------------------------------------------


def test_scheduled_times_missed_while_down_are_made_up_once(house: House) -> None:
    """However many there were; the first start of a new task misses nothing."""
    nightly = {"n": noting("n", when="cron 0 2 * * * America/Los_Angeles")}
    runner = house.open(nightly, clock=house.held())
    assert runner.run_pending() == []
    house.now += timedelta(days=3)
    runner = house.restart(nightly, clock=house.held())
    [run] = runner.run_pending()
    assert run.cause == "SCHEDULE" and run.scheduled == datetime.fromisoformat("2026-03-02T10:00:00+00:00")
    assert runner.run_pending() == []
    runner = house.restart(nightly, clock=house.held())
    assert runner.run_pending() == []
    house.now += timedelta(days=1)
    assert len(runner.run_pending()) == 1


def test_history_has_an_end(house: House) -> None:
    """The last runs of each task stay."""
    runner = house.open({"count_activities": counted()})
    house.warehouse.merge([activity("a")])
    runner.run_pending()
    house.rows(
        f"INSERT INTO TASK_HISTORY BY NAME SELECT t.* REPLACE (t.query_id || n AS query_id) FROM TASK_HISTORY AS t, range({RUNS_KEPT}) AS r(n)"
    )
    runner._history._runs = PRUNE_EVERY - 1
    runner.run("count_activities")
    assert house.rows("SELECT count(*) FROM TASK_HISTORY") == [(RUNS_KEPT,)]
