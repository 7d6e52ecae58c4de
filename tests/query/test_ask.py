"""The same question of the same data has one run, one answer and one link; what is asked is checked, and by whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON, Activity, Features
from cdesk.app import App
from cdesk.clock import Clock
from cdesk.errors import QueryRefused, UsageError
from cdesk.query.ask import Answered, Asker, AskRequest, Estimated, Estimator, Ran, Sampled, Sampler
from cdesk.query.behind import behind
from cdesk.query.explain import explain
from cdesk.query.provenance import DataVersions, canonical, question_key
from cdesk.query.questions import Questions
from cdesk.query.template import ROLES, load
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

OWN = """-- question: own
-- title: Calls by kind
-- description: How many calls of some kinds there were.
-- version: 1
-- parameter: kinds list of text to 50 optional: only these
-- parameter: least integer 0 to 9 = 0: at least so many
-- column: tool text: its name
-- column: calls integer in calls: of it
-- roles: owner, engineer, agent
-- access: figures
-- cap: 1 MB
-- cache: 1 h
-- reads: stream

SELECT tool_name_normalized AS tool, COUNT(*) AS calls
FROM VW_TOOL_EVENTS
WHERE
    CAST(:kinds AS VARCHAR) IS NULL
    OR tool_name_normalized IN (SELECT k.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(:kinds))) AS k)
GROUP BY 1
HAVING COUNT(*) >= :least
ORDER BY 2 DESC, 1
"""


class Desk:
    """A warehouse with its questions; time stands still until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.told: list[Ran] = []
        self.templates = folder / "templates"
        self._folder = folder
        self._clock = Clock(now_ns=lambda: int(self.now.timestamp() * 1_000_000) * 1000)
        self._open()

    def _open(self) -> None:
        self.warehouse = DuckDBWarehouse(self._folder / "warehouse", clock=self._clock)
        self.questions = Questions(self.warehouse, self.templates, clock=self._clock)
        self.asker = self.asking()

    def asking(self, estimator: Estimator | None = None, sampler: Sampler | None = None) -> Asker:
        versions = DataVersions(self.warehouse, self.warehouse.changes)
        return Asker(
            self.warehouse, self.questions, versions, lambda: "ada@example.org", estimator=estimator, sampler=sampler,
            tell=self.told.append, clock=self._clock,
        )  # fmt: skip

    def restart(self) -> None:
        self.warehouse.close()
        self._open()

    def put(self, tool: str, success: bool, at: datetime = NOW - timedelta(minutes=5)) -> None:
        features: Features = {"tool_name": tool, "success": success, "project_path": "/work/alpha"}
        self.warehouse.merge([Activity(
            activity_id=activity_id("given", tool, str(success), at.isoformat()), ts=at, activity="tool_called",
            customer="ada@example.org", source="hook", feature_json=features,
        )])  # fmt: skip

    def ask(self, name: str = "tool_usage", **given: Any) -> Answered:
        return self.asker.ask(name, AskRequest(**given))

    def own(self, text: str = OWN) -> None:
        self.templates.mkdir(exist_ok=True)
        (self.templates / "own.sql").write_text(text)

    def runs(self) -> int:
        """Statements that ran for an answer."""
        [[count]] = self.warehouse.query("SELECT count(*) FROM QUERY_HISTORY").rows
        return int(count)


@contextmanager
def opened(folder: Path) -> Iterator[Desk]:
    held = Desk(folder)
    try:
        held.put("Bash", True)
        held.put("Edit", False)
        yield held
    finally:
        held.warehouse.close()


@pytest.fixture
def desk(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[Desk]:
    deployed(tmp_path / "warehouse")
    with opened(tmp_path) as held:
        yield held


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[Desk]:
    """For who changes nothing."""
    folder = tmp_path_factory.mktemp("asked")
    deployed(folder / "warehouse")
    with opened(folder) as held:
        yield held


# -- one question, one answer --------------------------------------------------------------------------------------


def test_asked_twice_it_is_one_answer_with_one_link(desk: Desk) -> None:
    """Word for word, and only one statement ran; only whether it was recorded differs."""
    first, second = desk.ask(), desk.ask()
    assert not first.is_recorded and second.is_recorded and second.is_current
    assert [(one.link, one.rows, one.asked_at, one.parameters) for one in (first, second)] == [
        (first.link, [["Bash", 1, 0, 0, None, "2026-11-23T17:55:00Z"], ["Edit", 1, 1, 100, None, "2026-11-23T17:55:00Z"]],
         "2026-11-23T18:00:00Z", {"days": 7, "project": None})
    ] * 2  # fmt: skip
    assert desk.runs() == 1


def test_after_new_data_a_fresh_answer_is_another(desk: Desk) -> None:
    """With another link; who does not ask for it gets what was recorded, and is told that there is news."""
    first = desk.ask()
    desk.put("Bash", True, NOW)
    recorded, fresh, again = desk.ask(), desk.ask(fresh=True), desk.ask(fresh=True)
    assert recorded.link == first.link and recorded.is_recorded and not recorded.is_current
    assert fresh.link != first.link and fresh.rows[0][1] == 2 and not fresh.is_recorded
    assert (again.link, again.is_recorded, again.is_current) == (fresh.link, True, True)
    assert desk.ask().link == fresh.link, "from then on that is the answer"


def test_asked_again_after_a_day_it_runs_again(desk: Desk) -> None:
    first = desk.ask()
    desk.now += timedelta(hours=23)
    assert desk.ask().link == first.link
    desk.now += timedelta(hours=2)
    later = desk.ask()
    assert not later.is_recorded and later.link != first.link, "its seven days begin later"


def test_a_question_about_now_is_recorded_for_a_minute(desk: Desk) -> None:
    """When there is news; without, there is nothing else to say."""
    first = desk.ask("failures_now")
    desk.put("Bash", False, NOW)
    assert desk.ask("failures_now").link == first.link
    desk.now += timedelta(minutes=2)
    assert desk.ask("failures_now").link != first.link


def test_recorded_answers_survive_a_restart(desk: Desk) -> None:
    """So do ids: the data is as it was."""
    first = desk.ask()
    desk.restart()
    again, fresh = desk.ask(), desk.ask(fresh=True)
    assert again.is_recorded and (again.link, again.rows, again.columns) == (first.link, first.rows, first.columns)
    assert fresh.is_recorded and fresh.link == first.link


def test_who_looks_up_an_old_link_does_not_bring_it_back(desk: Desk) -> None:
    """The latest answer is that of the question, also when an older one was read since."""
    first = desk.ask()
    desk.put("Bash", True, NOW)
    desk.now += timedelta(minutes=1)
    latest = desk.ask(fresh=True)
    desk.restart()
    assert desk.asker.recorded(first.query_id) is not None
    desk.put("Bash", True, NOW - timedelta(minutes=1))
    assert desk.ask().link == latest.link


def test_nested_parameters_matter(desk: Desk) -> None:
    """Every member of a list, and their order; the order of names does not."""
    desk.own()
    asked = [
        {"kinds": ["Bash"]},
        {"kinds": ["Edit"]},
        {"kinds": ["Bash", "Edit"]},
        {"kinds": ["Edit", "Bash"]},
        {"least": 1},
        {},
    ]
    found = [desk.ask("own", parameters=each) for each in asked]
    assert len({one.query_id for one in found}) == len(asked)
    assert [one.rows for one in found[:3]] == [[["Bash", 1]], [["Edit", 1]], [["Bash", 1], ["Edit", 1]]]
    same = desk.ask("own", parameters={"least": 0, "kinds": ["Bash"]})
    assert same.is_recorded and same.link == found[0].link, "what is given and what is the default are one"
    [template] = [each for each in load() if each.name == "cost_by"]
    deep: JSON = {"a": {"b": [1, {"c": 2}], "d": None}}
    assert question_key(template, {"x": deep}, "owner") != question_key(template, {"x": {"a": {"b": [1, {"c": 3}], "d": None}}}, "owner")  # fmt: skip
    assert canonical(deep) == canonical({"a": {"d": None, "b": [1, {"c": 2}]}})


def test_roles_have_answers_of_their_own(desk: Desk) -> None:
    """A role that sees less must not be given what another was told."""
    assert desk.ask(role="owner").link != desk.ask(role="agent").link


def test_a_thousand_who_ask_at_once_are_answered_by_one_run(desk: Desk) -> None:
    """They wait for it together."""
    began, may_end = threading.Event(), threading.Event()
    real = desk.warehouse.ask

    def slow(*given: Any, **named: Any) -> Any:
        began.set()
        assert may_end.wait(60)
        return real(*given, **named)

    desk.warehouse.ask = slow  # type: ignore[method-assign]
    threading.stack_size(256 * 1024)
    try:
        with ThreadPoolExecutor(1_000) as pool:
            asked = [pool.submit(desk.ask, fresh=number % 2 == 0) for number in range(1_000)]
            assert began.wait(60)
            may_end.set()
            links = {one.result(60).link for one in asked}
    finally:
        threading.stack_size(0)
    assert len(links) == 1 and desk.runs() == 1


def test_a_failed_run_fails_for_all_who_wait_and_not_for_the_next(desk: Desk) -> None:
    """It is in the log, under its id, and told as an activity."""
    desk.own(OWN.replace("COUNT(*) AS calls", "COUNT(*) AS calls, nowhere"))
    with pytest.raises(QueryRefused, match="nowhere"):
        desk.ask("own")
    log = desk.warehouse.query("SELECT query_id, execution_status, role_name FROM QUERY_HISTORY").rows
    assert log == [(desk.told[0].query_id, "FAIL", "owner")] and "nowhere" in str(desk.told[0].error)
    desk.own()
    assert desk.ask("own").rows


# -- provenance ----------------------------------------------------------------------------------------------------


def test_the_log_knows_who_asked_what(desk: Desk) -> None:
    """Tagged, with the columns of QUERY_HISTORY; explain says it."""
    found = desk.ask(parameters={"project": "/work/alpha/"}, role="agent")
    said = explain(desk.warehouse, found.link).said
    assert (said["question"], said["role"], said["asked_by"], said["rows_produced"]) == (
        "tool_usage",
        "agent",
        "ada@example.org",
        2,
    )
    assert said["parameters"] == {"days": 7, "project": "/work/alpha"} and said["data_as_of"] == found.data_as_of
    assert str(said["query_text"]).startswith('-- {"question":"tool_usage"') and "/work/alpha" in str(
        said["query_text"]
    )
    tag = desk.warehouse.query("SELECT query_tag FROM QUERY_HISTORY WHERE query_id = $1", [found.query_id])
    assert tag.rows == [(f"cdesk:{found.query_id}",)]


def test_secrets_are_asked_with_and_not_recorded(sampled: App) -> None:
    """Neither in the log, nor with the answer, nor in the activity."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    found = sampled.asker.ask("activity_counts", AskRequest(parameters={"customer": secret}))
    sampled.uploader.drain()
    assert found.rows == [] and "[redacted:" in str(found.parameters)
    for table in ("QUERY_HISTORY", "QUESTION_ANSWERS", "VW_SQL_EVENTS"):
        kept = sampled.warehouse.query(f"SELECT * FROM {table} WHERE query_id = $1", [found.query_id]).rows
        assert kept and secret not in repr(kept)


def test_to_ask_is_told_and_is_no_news(sampled: App) -> None:
    """That cdesk was asked is an activity, which leads to the run; the same question has the same answer after it."""
    first = sampled.asker.ask("slowest_tools", AskRequest(fresh=True))
    sampled.uploader.drain()
    told = sampled.warehouse.query(
        "SELECT role, success, status, has_provenance FROM VW_SQL_EVENTS WHERE query_id = $1", [first.query_id]
    )
    assert told.rows == [("owner", True, "success", True)]
    assert sampled.asker.ask("slowest_tools", AskRequest(fresh=True)).link == first.link


LONG = """-- question: long
-- title: Many rows
-- description: A row for each pair of activities.
-- version: 1
-- column: first text: an activity
-- column: ms integer in ms: a figure
-- roles: owner
-- access: figures
-- cap: 1 GB
-- cache: 1 h
-- chart: bars first ms
-- reads: stream

SELECT a.activity_id AS first, 7 AS ms
FROM CLAUDE_STREAM_V2 AS a CROSS JOIN (SELECT 1 FROM CLAUDE_STREAM_V2 QUALIFY ROW_NUMBER() OVER (ORDER BY ts) <= 2) AS b
QUALIFY ROW_NUMBER() OVER (ORDER BY a.activity_id) <= 1500
"""


def test_a_long_answer_is_kept_whole(sampled: App) -> None:
    """As an artifact of the same query, with units and chart; what comes with the answer are its first rows."""
    sampled.home.templates.mkdir(exist_ok=True)
    (sampled.home.templates / "long.sql").write_text(LONG)
    try:
        found = sampled.asker.ask("long")
    finally:
        (sampled.home.templates / "long.sql").unlink()
    assert (found.row_count, len(found.rows)) == (1_500, 1_000) and found.artifact_id is not None
    kept = sampled.artifacts.get(found.artifact_id)
    assert (kept.row_count, kept.query_id, kept.title) == (1_500, found.query_id, "Many rows")
    assert [column.unit for column in kept.columns] == [None, "ms"] and kept.chart is not None
    assert sampled.explain(found.link).said["artifact_id"] == found.artifact_id


def test_answers_can_be_traced_in_the_product_metrics(sampled: App) -> None:
    """All of them; without its row of the query log, one cannot."""
    sampled.asker.ask("errors", AskRequest(parameters={"days": 2}))
    sampled.uploader.drain()
    sampled.tasks.run_pending()
    coverage = "SELECT sum(answers), min(provenance_coverage_pct) FROM VW_PRODUCT_METRICS WHERE answers > 0"
    [[answers, covered]] = sampled.warehouse.query(coverage).rows
    assert answers >= 1 and covered == 100


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [(0, None, "no row 0"), (9_999, None, "rows are 1 to"), (1, "nothing", "no column 'nothing'")],
)
def test_a_cell_that_is_not_there_is_told(sampled: App, row: int, column: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sampled.explain(sampled.asker.ask("tool_usage").link, row, column)


def test_cells_of_other_things_are_told(sampled: App) -> None:
    """An answer that says nothing of what is behind it, and a query that was no question."""
    with pytest.raises(UsageError, match="does not say which"):
        sampled.explain(sampled.asker.ask("executive_summary").link, 1)
    sampled.warehouse.ask("SELECT 1", query_id="q_plain", rows_max=1, seconds_max=9)
    with pytest.raises(UsageError, match="no answer with cells"):
        sampled.explain("cdesk:q_plain", 1)


def test_cells_of_a_question_that_was_changed_are_told(desk: Desk) -> None:
    """Its second SELECT may mean something else now."""
    desk.own()
    recorded = desk.asker.recorded(desk.ask("own").query_id)
    assert recorded is not None
    desk.own(OWN.replace("version: 1", "version: 2"))
    with pytest.raises(UsageError, match="was changed since"):
        behind(desk.warehouse, desk.questions.template("own"), recorded, 1, None, "q_1")


# -- who may, and what is asked ------------------------------------------------------------------------------------


def test_a_file_of_the_home_is_a_draft_until_it_is_activated(desk: Desk) -> None:
    """For the owner alone; then for the roles it names; again a draft when its text changes; it all survives."""
    desk.own()
    assert desk.questions.show("own").question.state == "draft" and desk.ask("own").rows
    with pytest.raises(QueryRefused, match="draft and not for the role agent"):
        desk.ask("own", role="agent")
    decide = desk.questions.decide
    with pytest.raises(UsageError, match="was not reviewed"):
        decide("own", "active", by="ada", role="owner")
    with pytest.raises(QueryRefused, match="role agent does not decide"):
        decide("own", "reviewed", by="claude", role="agent")
    decide("own", "reviewed", by="ada", role="owner")
    assert decide("own", "active", by="bob", role="admin", reason="fine").question.state == "active"
    assert desk.ask("own", role="agent").rows
    with pytest.raises(QueryRefused, match="not for the role analyst"):
        desk.ask("own", role="analyst")
    assert "own" not in {each.name for each in desk.questions.all("analyst")}
    desk.restart()
    shown = desk.questions.show("own")
    assert [(each.state, each.by, each.reason) for each in shown.decisions] == [
        ("active", "bob", "fine"),
        ("reviewed", "ada", None),
    ]
    assert desk.ask("own", role="agent").rows
    desk.own(OWN + "LIMIT 5")
    assert desk.questions.show("own").question.state == "draft"


def test_a_blocked_question_answers_nobody(desk: Desk) -> None:
    """Also what was recorded; reviewing lifts it, and activating lets everybody in again."""
    decide = desk.questions.decide
    desk.ask()
    decide("tool_usage", "blocked", by="ada", role="owner", reason="counts wrong")
    for role in ROLES:
        with pytest.raises(QueryRefused, match="is blocked: counts wrong"):
            desk.ask(role=role)
    decide("tool_usage", "reviewed", by="ada", role="owner")
    assert desk.ask().rows
    decide("tool_usage", "active", by="ada", role="owner")
    assert desk.ask(role="auditor").rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN.replace("question: own", "question: other"), "must be the file's name"),
        (OWN.replace("SELECT tool_name", "DELETE FROM T; SELECT tool_name"), "not one SELECT"),
        (OWN.replace("HAVING", "HAVING CURRENT_DATE() > '2020-01-01' AND"), "portable"),
        (OWN.replace("0 to 9 ", ""), "no bounds"),
        (OWN.replace("= 0:", "= 10:"), "default is wrong"),
        (OWN.replace("roles: owner", "roles: boss"), "'boss', which is none of owner"),
        (OWN.replace(">= :least", ">= :most"), ":most, which is no parameter"),
        (OWN.replace(">= :least", ">= 1"), "does not use the parameter least"),
        (OWN.replace("figures", "content").replace("roles: owner", "roles: auditor"), "not for the role auditor"),
        (OWN.replace("VW_TOOL_EVENTS", "QUESTION_ANSWERS"), "QUESTION_ANSWERS may not be read"),
        ("", "no `question:`"),
    ],
)
def test_a_broken_file_is_told_and_breaks_nothing(desk: Desk, text: str, said: str) -> None:
    """Where it is wrong, in one line."""
    desk.own(text)
    [wrong] = desk.questions.unreadable
    assert wrong.file == "own.sql" and said in wrong.error and "\n" not in wrong.error
    with pytest.raises(UsageError, match=r"no question 'own'"):
        desk.ask("own")
    assert desk.ask().rows


def test_no_file_takes_a_name_of_cdesks_own(desk: Desk) -> None:
    desk.templates.mkdir()
    (desk.templates / "tool_usage.sql").write_text(OWN)
    assert "cdesk has a question of this name" in desk.questions.unreadable[0].error
    assert desk.questions.show("tool_usage").question.is_bundled


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("tool_usge", {}, "Did you mean 'tool_usage'"),
        ("tool_usage", {"days": 0}, "from 1 to 366, not 0"), ("tool_usage", {"days": 367}, "not 367"),
        ("tool_usage", {"days": True}, "not True"), ("tool_usage", {"days": "7"}, "not '7'"),
        ("tool_usage", {"days": 7.5}, "not 7.5"), ("tool_usage", {"days": None}, "not None"),
        ("tool_usage", {"project": ["/a"]}, "a text of 1 to 4096"), ("tool_usage", {"project": ""}, "not ''"),
        ("tool_usage", {"project": "a\0b"}, "a text"), ("tool_usage", {"project": "x" * 5000}, "…"),
        ("tool_usage", {"dayz": 1}, "It takes: days, project"), ("cost_by", {"by": "day; DROP"}, "one of day, hour"),
        ("cost_by", {"models": []}, "1 to 100 texts"), ("cost_by", {"models": ["a", 1]}, "texts"),
        ("cost_by", {"models": ["a"] * 101}, "1 to 100 texts"), ("cost_by", {"models": [["a"]]}, "texts"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_told(shared: Desk, name: str, parameters: dict[str, Any], said: str) -> None:
    """Before anything runs, in one line."""
    with pytest.raises(UsageError) as caught:
        shared.ask(name, parameters=parameters)
    assert said in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300
    assert shared.runs() == 0


class Sees:
    """An estimator that says what it is told to."""

    bytes = 0

    def estimate(self, sql: str, parameters: Any) -> Estimated:
        return Estimated(bytes=self.bytes, rows=5)


def test_over_its_cap_it_is_refused_with_the_estimate(desk: Desk) -> None:
    """Nothing runs; under it the estimate comes with the answer, and stands in the log."""
    sees = Sees()
    asker = desk.asking(sees)
    sees.bytes = 2 * 1024**3
    with pytest.raises(QueryRefused, match="2,147,483,648 bytes"):
        asker.ask("tool_usage")
    assert desk.runs() == 0
    sees.bytes = 1_000
    assert asker.ask("tool_usage").estimate == Estimated(1_000, 5)
    assert desk.warehouse.query("SELECT bytes_scanned FROM QUERY_HISTORY").rows == [(1_000,)]


def test_over_its_cap_a_sample_is_another_answer(desk: Desk) -> None:
    """With its watermark and an id of its own; who wants the whole is never given the sample that was recorded."""
    sees, asked = Sees(), list[tuple[Any, ...]]()

    def part(*given: Any) -> Any:
        asked.append(given)
        return SimpleNamespace(
            sql=f"SELECT *, 1 AS calls_error FROM ({given[0]})", rate=0.5, seed=1, watermark="SAMPLE: half"
        )

    asker = desk.asking(sees, part)
    sees.bytes = 2 * 1024**3
    first, again = (asker.ask("tool_usage", AskRequest(over_cap="sample")) for _ in range(2))
    assert first.sample == again.sample == Sampled(0.5, 1, "SAMPLE: half") and again.is_recorded
    assert first.columns[-1].name == "calls_error" and len(first.rows[0]) == len(first.columns)
    assert explain(desk.warehouse, first.link).said["sample"] == {"rate": 0.5, "seed": 1, "watermark": "SAMPLE: half"}
    assert asked[0][1:] == (Estimated(2 * 1024**3, 5), 1024**3, 7 * 86_400.0) and len(asked) == 1
    with pytest.raises(QueryRefused, match="for a sample"):
        asker.ask("tool_usage")
    sees.bytes = 1
    whole = asker.ask("tool_usage")
    assert whole.sample is None and whole.link != first.link
