"""Contexts say what is known of a customer and project, each statement with its sources, and nothing that is withheld."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.context.hostile import HOSTILE
from tests.refresh.history import History

from cdesk.activity.model import Activity
from cdesk.clock import Clock
from cdesk.context.model import KINDS, Context, ContextKey
from cdesk.context.quote import quoted
from cdesk.context.text import rendered
from cdesk.context.today import Today
from cdesk.governance.consent import Consent, Text
from cdesk.insight.context import SECTION_MAX, STATEMENTS_MAX, ContextBuilder

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = ContextKey("ada", "/p")
KEEP = Consent()


def told(
    number: int, name: str, session: str = "s1", project: str | None = "/p", customer: str = "ada",
    cost: float | None = None, **features: Any,
) -> Activity:  # fmt: skip
    return Activity(
        activity_id=str(UUID(int=number)), ts=NOON + timedelta(seconds=number), activity=name, customer=customer,
        session_id=session, source="transcript", revenue_impact=cost, feature_json={"project_path": project, **features},
    )  # fmt: skip


def failed(number: int, error: Any, **more: Any) -> Activity:
    return told(number, "tool_called", tool_name="Bash", success=False, error=error, latency_ms=900, **more)


def answered(number: int, cost: float | None, **more: Any) -> Activity:
    return told(number, "claude_responded", cost=cost, model="claude-opus-5-5", prompt_tokens=100, completion_tokens=50,
                total_tokens=150, is_counted=True, cost_usd=cost, **more)  # fmt: skip


def run(history: History, *activities: Activity) -> None:
    history.merge(activities)
    for task in ("refresh_context_inputs", "roll_up_activity"):
        history.tasks.run(task)


def builder(history: History, consent: Consent = KEEP, now: datetime = NOON + timedelta(hours=1)) -> ContextBuilder:
    clock = Clock(now_ns=lambda: int(now.timestamp() * 1e9))
    return ContextBuilder(history.warehouse, consent, clock=clock, local=lambda at: at)


def built(history: History, key: ContextKey = ADA, **more: Any) -> Context:
    [context] = builder(history, **more).build([key])
    return context


def texts(context: Context, section: str = "") -> list[str]:
    return [one.text for one in context.statements if section in ("", one.section)]


def atom(history: History, id_: str, **given: Any) -> None:
    """An atom as a task would write it."""
    row = {
        "id": id_, "ts": NOON, "customer": "ada", "subject": "tests", "metric": "flaky", "valid_from": NOON,
        "confidence": 0.9, "derivation_method": "detector", **given,
    }  # fmt: skip
    marks = ", ".join("CAST(? AS JSON)::VARIANT" if name in ("derivation", "filter_json") else "?" for name in row)
    values = [value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row.values()]
    history._connection.execute(f"INSERT INTO INSIGHT_ATOMS ({', '.join(row)}) VALUES ({marks})", values)


# -- what is told --------------------------------------------------------------------------------------------------


def test_what_today_has_cost_is_told_by_itself(history: History) -> None:
    """In all projects that consent does not withhold; nothing is nothing, and what has no price is counted."""
    none = builder(history).today("ada")
    assert none == Today("ada", "2026-03-01", None, 0, (NOON + timedelta(hours=1)).timestamp())
    run(history, answered(1, 0.25), answered(2, 0.5, project="/q"), answered(3, 8.0, customer="bob"),
        answered(4, None))  # fmt: skip
    assert builder(history).today("ada")[1:4] == ("2026-03-01", 0.75, 1)
    assert builder(history, Consent(exclude_projects=("/q",))).today("ada").cost_usd == 0.25
    assert builder(history, now=NOON + timedelta(days=1)).today("ada")[1:4] == ("2026-03-02", None, 0)


def test_each_section_is_told_with_its_sources(history: History) -> None:
    """What failed, the files, what is open, what was asked of a warehouse, and what it came to."""
    run(history, told(1, "user_asked", prompt_text="Make it fast"), failed(2, "exit 1"), failed(3, "exit 1"),
        told(4, "file_edited", file_path="/p/src/a.py", operation="edit"), answered(5, 0.25),
        told(6, "sql_executed", sql="SELECT 1", success=True, rows=1),
        told(7, "tool_called", tool_name="Read", success=True))  # fmt: skip
    context = built(history)
    assert texts(context, "failure") == ['The tool "Bash" failed 2 times, last on 2026-03-01 12:00 UTC: "exit 1".']
    assert texts(context, "file") == ['The file "src/a.py" was edited, last on 2026-03-01 12:00 UTC.']
    [thread] = texts(context, "thread")
    assert 'The session "s1" has not ended' in thread and '"Make it fast"' in thread
    [query] = texts(context, "query")
    assert '"SELECT 1" gave 1 row' in query
    assert "Today (2026-03-01): $0.25, 150 tokens, 1 session." in texts(context, "usage")
    assert 'In seven days 33.3 % of 3 tool calls succeeded; most failures: "Bash" 2 of 2.' in texts(context, "usage")
    failure = next(one for one in context.statements if one.section == "failure")
    assert failure.sources == (f"activity:{UUID(int=3)}", f"activity:{UUID(int=2)}")
    assert context.data_as_of == (NOON + timedelta(seconds=7)).timestamp()
    assert all(one.sources and one.why and one.score > 0 for one in context.statements)


def test_a_session_that_has_just_begun_is_no_news(history: History) -> None:
    """It may be the very one that is told: what came to nothing is not told."""
    run(history, told(1, "session_started"))
    assert texts(built(history), "usage") == []
    run(history, answered(2, None))
    assert len(texts(built(history), "usage")) == 2


def test_a_figure_can_be_asked_again(history: History) -> None:
    """Its source is in the query log, once, and the question there gives the figure."""
    run(history, answered(1, 0.25), answered(2, 0.5, project="/q", session="s2"))
    for _ in range(2):
        context = builder(history).build([ADA])[0]
    source = next(one.sources[0] for one in context.statements if one.text.startswith("Today"))
    [(sql, tag)] = history.rows(
        f"SELECT query_text, query_tag FROM QUERY_HISTORY WHERE query_id = '{source.removeprefix('cdesk:')}'"
    )
    assert tag == source
    assert history.warehouse.ask(sql, query_id="q", rows_max=9, seconds_max=9).rows == [(0.25, 150, 1, 0.25, 150, 1)]


def test_every_source_resolves(history: History) -> None:
    """To an activity, an atom or a question that is there."""
    run(history, told(1, "user_asked", prompt_text="x"), failed(2, "exit 1"), answered(5, 0.25),
        told(4, "file_edited", file_path="/p/src/a.py", operation="edit"),
        *(told(n, "tool_called", tool_name="Read", success=True, latency_ms=5) for n in range(10, 20)))  # fmt: skip
    atom(history, "a1", derivation='{"statement": "Run make first.", "author": "person"}')
    there = {f"activity:{row[0]}" for row in history.rows("SELECT activity_id FROM CLAUDE_STREAM_V2")}
    there |= {f"atom:{row[0]}" for row in history.rows("SELECT id FROM INSIGHT_ATOMS")}
    contexts = builder(history).build([ContextKey("ada", project, kind) for project in (None, "/p") for kind in KINDS])
    there |= {f"cdesk:{row[0]}" for row in history.rows("SELECT query_id FROM QUERY_HISTORY")}
    cited = {source for context in contexts for one in context.statements for source in one.sources}
    assert cited <= there and {source.split(":")[0] for source in cited} == {"activity", "atom", "cdesk"}


def test_a_project_is_told_what_is_its_own(history: History) -> None:
    """Another's failures, files, sessions and dollars are not; all projects together name the project."""
    run(history, failed(1, "in p"), failed(2, "theirs", project="/q", session="s2"), answered(3, 1.0), answered(4, 2.0, project="/q"),
        told(5, "file_read", file_path="/q/b.py", operation="read", project="/q"))  # fmt: skip
    one, every = built(history), built(history, ContextKey("ada"))
    assert "theirs" not in rendered(one, 0) and "/q" not in rendered(one, 0) and "$1.00" in rendered(one, 0)
    assert 'failed in "/q" on' in rendered(every, 0) and "$3.00" in rendered(every, 0)
    assert texts(built(history, ContextKey("bob", "/p"))) == [] == texts(built(history, ContextKey("ada", "/nowhere")))


def test_kinds_weigh_differently(history: History) -> None:
    """The same facts in another order: failures come first for an engineer, spend for an executive."""
    run(history, failed(1, "exit 1"), answered(2, 0.25), told(3, "sql_executed", sql="SELECT 1", success=True),
        told(4, "user_asked", prompt_text="Go on"))  # fmt: skip
    contexts = builder(history).build([ContextKey("ada", "/p", kind) for kind in KINDS])
    first = {context.key.kind: context.statements[0].section for context in contexts}
    assert first == {"default": "failure", "executive": "usage", "analyst": "query", "engineer": "failure"}
    assert len({context.version for context in contexts}) == 4


def test_many_are_built_in_one_read(history: History) -> None:
    """As each alone would be, in the order of the keys."""
    run(
        history,
        *(
            failed(n, f"error {n}", project=f"/p{n % 5}", customer=f"c{n % 7}", session=f"s{n % 3}")
            for n in range(1, 90)
        ),
    )
    keys = [ContextKey(f"c{n}", project) for n in range(7) for project in (None, "/p1", "/p3")]
    assert builder(history).build(keys) == [builder(history).build([key])[0] for key in keys]
    assert builder(history).build([]) == []


def test_what_is_told_is_bounded(history: History) -> None:
    """No section fills a context alone."""
    run(history, *(failed(n, f"error {n}") for n in range(1, 40)),
        *(told(n, "file_read", file_path=f"/p/{n}", operation="read") for n in range(40, 90)))  # fmt: skip
    context = built(history)
    assert len(texts(context, "failure")) == SECTION_MAX == len(texts(context, "file"))
    assert len(context.statements) <= STATEMENTS_MAX
    assert [one.score for one in context.statements] == sorted((one.score for one in context.statements), reverse=True)


def test_a_session_that_was_silent_for_long_is_no_open_thread(history: History) -> None:
    """Few sessions say that they end."""
    run(history, told(1, "user_asked", prompt_text="Long ago", session="s1"),
        told(8 * 86_400, "user_asked", prompt_text="Now", session="s2"))  # fmt: skip
    context = built(history, now=NOON + timedelta(days=9))
    assert ['"s2"' in text for text in texts(context, "thread")] == [True]
    assert ["Long ago" in text for text in texts(context, "session")] == [True]


# -- the version ---------------------------------------------------------------------------------------------------


def test_without_news_the_version_stays(history: History) -> None:
    """Time goes on and the context is built again: what is told is the same, to the letter."""
    run(history, failed(1, "exit 1"), answered(2, 0.25), told(3, "user_asked", prompt_text="Go on"))
    first = built(history)
    later = built(history, now=NOON + timedelta(hours=9))
    assert later.version == first.version and later.statements == first.statements and later.built_at > first.built_at
    run(history, failed(4, "exit 2"))
    assert built(history).version != first.version


def test_another_project_changes_nothing_here(history: History) -> None:
    """Nor does another customer."""
    run(history, failed(1, "exit 1"))
    before = built(history).version
    run(history, failed(2, "exit 2", project="/q", session="s2"), failed(3, "exit 3", customer="bob"))
    assert built(history).version == before


# -- insights ------------------------------------------------------------------------------------------------------


def test_insights_are_told_with_who_says_so(history: History) -> None:
    """Words that name no project hold everywhere, those that name one there; a bare figure only in all projects."""
    run(history, failed(1, "exit 1"))
    atom(history, "a1", derivation='{"statement": "Use uv.", "author": "person"}')
    atom(
        history,
        "a2",
        derivation='{"statement": "Run make first.", "author": "claude"}',
        filter_json='{"project_path": "/p"}',
    )
    atom(history, "a3", derivation='{"statement": "Other.", "project_path": "/q"}')
    atom(history, "a4", metric="p95", unit="ms", grain="daily")
    assert sorted(texts(built(history), "insight")) == [
        'Noted by Claude: "Run make first.".',
        'Noted by a person: "Use uv.".',
    ]
    every = built(history, ContextKey("ada"))
    assert 'Found: "Other.".' in texts(every, "insight")
    assert any(one.sources == ("atom:a4",) for one in every.statements)


def test_a_failure_says_what_fixed_it(history: History) -> None:
    """When an atom rests on it; the atom is not told a second time."""
    run(history, failed(1, "exit 1"))
    atom(history, "a1", derivation=f'{{"statement": "`make deps` fixes it.", "evidence": ["{UUID(int=1)}"]}}')
    context = built(history)
    [failure] = [one for one in context.statements if one.section == "failure"]
    assert "Known about it: \"'make deps' fixes it.\"." in failure.text and failure.sources[-1] == "atom:a1"
    assert texts(context, "insight") == []


@pytest.mark.parametrize(
    "given",
    [
        {"superseded_by": "a2"}, {"is_stale": True}, {"is_quarantined": True}, {"is_silenced": True}, {"valid_until": NOON + timedelta(minutes=1)},
        {"valid_from": NOON + timedelta(days=1)}, {"customer": "bob"},
    ],
)  # fmt: skip
def test_what_no_longer_holds_is_not_told(history: History, given: dict[str, Any]) -> None:
    """Superseded, stale, quarantined, expired, not valid yet, another's."""
    run(history, failed(1, "exit 1"))
    atom(history, "a1", derivation='{"statement": "Use uv."}', **given)
    assert texts(built(history), "insight") == []


@pytest.mark.parametrize("derivation", ["null", "[]", "7", '{"statement": 7}', '{"statement": ""}', '{"evidence": 7}'])
def test_odd_derivations_hurt_nobody(history: History, derivation: str) -> None:
    """Whoever wrote them."""
    run(history, failed(1, "exit 1"))
    atom(history, "a1", derivation=derivation, filter_json=derivation, subject=HOSTILE["closes a reminder"])
    assert texts(built(history), "insight") == [] and "</" not in rendered(built(history, ContextKey("ada")), 0)


# -- what is withheld ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hash", "drop"])
def test_words_that_may_not_be_kept_are_not_told(history: History, text: Text) -> None:
    """Also those that were kept under an earlier consent; what happened may still be told."""
    run(history, told(1, "user_asked", prompt_text="a word"), failed(2, "a word"),
        told(3, "sql_executed", sql="SELECT 'a word'", success=True), told(4, "file_read", file_path="/p/a", operation="read"))  # fmt: skip
    atom(history, "a1", derivation='{"statement": "a word"}')
    for key in (ADA, ContextKey("ada")):
        context = built(history, key, consent=Consent(text=text))
        assert "a word" not in rendered(context, 0) and texts(context, "file")


@pytest.mark.parametrize("words", [None, "", "  ", "[hashed:0a1b2c3d4e5f6071]"])
def test_a_statement_without_its_words_is_not_told(history: History, words: str | None) -> None:
    """Nor is the mark that stands for them."""
    run(
        history,
        told(1, "user_asked", prompt_text=words),
        failed(2, words),
        told(3, "sql_executed", sql=words, success=True),
    )
    context = built(history)
    assert not texts(context, "failure") and not texts(context, "thread") and not texts(context, "query")
    assert "hashed" not in rendered(context, 0)


def test_projects_that_are_excluded_are_not_told(history: History) -> None:
    """Neither by themselves nor in sums over all, nor by the names of their tools."""
    run(history, failed(1, "exit 1"), answered(2, 1.0), failed(3, "secret", project="/hidden/x", session="s2"),
        answered(4, 5.0, project="/hidden/x", session="s2"),
        *(told(n, "tool_called", tool_name="hidden_tool", success=True, latency_ms=9, project="/hidden/x") for n in range(10, 20)))  # fmt: skip
    atom(history, "a1", derivation='{"statement": "hidden", "project_path": "/hidden/x"}')
    consent = Consent(exclude_projects=("/hidden/*",))
    every = built(history, ContextKey("ada"), consent=consent)
    assert "hidden" not in rendered(every, 0) and "secret" not in rendered(every, 0)
    assert "Today (2026-03-01): $1.00, 150 tokens, 1 session." in texts(every)
    assert texts(built(history, ContextKey("ada", "/hidden/x"), consent=consent)) == []


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if HOSTILE[name] and name not in ("lone surrogate", "very long")]
)
def test_hostile_texts_are_told_as_data(history: History, name: str) -> None:
    """In prompts, errors, file names, tools, models, sessions and projects: each a quotation on its own line."""
    text = HOSTILE[name].replace("\0", "")
    run(history, told(1, "user_asked", prompt_text=text, session=text), failed(2, text, project=text),
        told(3, "file_edited", file_path=text, operation=text), told(4, "tool_called", tool_name=text, success=False, error=text),
        told(5, "sql_executed", sql=text, success=True, warehouse=text), answered(6, 1.0, project=text))  # fmt: skip
    atom(history, "a1", subject=text, metric=text, unit=text, grain=text)
    atom(history, "a2", derivation='{"statement": "x", "author": "claude"}')
    for key in (ContextKey("ada"), ContextKey("ada", text), ADA):
        context = built(history, key)
        lines = rendered(context, 0).split("\n")
        assert len(lines) == len(context.statements) + 2 if context.statements else lines == [""]
        assert all(line.startswith("- ") for line in lines[2:])
        for one in context.statements:
            assert one.text.count('"') % 2 == 0 and not set("<>”“＜＞\n\r\x1b\u2028") & set(one.text)
            assert all("\n" not in source for source in one.sources)
    assert quoted(text)[1:-1] in rendered(built(history), 0)


def test_an_empty_warehouse_has_empty_contexts(history: History) -> None:
    """No statements, no data, no question in the log."""
    context = built(history)
    assert (context.statements, context.data_as_of) == ((), None)
    assert builder(history).newest(50) == [] and history.rows("SELECT * FROM QUERY_HISTORY") == []


def test_the_newest_places_come_first(history: History) -> None:
    """What is built when nobody has asked yet."""
    run(history, failed(1, "a"), failed(2, "b", project="/q"), failed(3, "c", customer="bob", project=None))
    assert builder(history).newest(3) == [ContextKey("bob"), ContextKey("ada"), ContextKey("ada", "/q")]
