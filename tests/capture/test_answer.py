"""What Claude is told back: the whole when a session begins, news with a prompt, and nothing that is not recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdesk.activity.model import JSON, Activity, Person
from cdesk.capture.answer import CHARACTERS_MAX, PATIENCE_S, Amount, Answers
from cdesk.clock import Clock
from cdesk.context.model import FRESH_SECONDS, Context, ContextKey, Statement
from cdesk.context.plain import PlainFiles
from cdesk.context.text import rendered
from cdesk.context.told import ToldSessions
from cdesk.errors import QueueError

START_NS = 1_795_425_161_904_618_700
SESSION = "00903cac-6cd7-4e0b-9c05-1336fab23028"
PERSON = Person("ada@example.org", "host_test")
KEY = ContextKey("ada@example.org", "/work/shop")


def statement(text: str, section: str = "failure", score: float = 1.0) -> Statement:
    return Statement(text, section, (f"activity:{text[:8]}",), "because it recurs", score)


BUILD = statement('"make build" failed 3 times; "npm ci" mended it.')
FLAKY = statement('"pytest -k pay" fails now and then.', "insight")
PAIR = statement('"api.py" and "test_api.py" change together.', "file")
SPEND = statement("$3.20 were spent here today.", "insight")


class Room:
    """Contexts by project, a queue that remembers or refuses, and a clock that stands still."""

    def __init__(self, folder: Path, amount: Amount = "brief") -> None:
        self.contexts: dict[ContextKey, Context] = {}
        self.wanted: list[ContextKey] = []
        self.recorded: list[Activity] = []
        self.refuses: Exception | None = None
        self.takes = True
        self.now_ns = START_NS
        self.folder = folder
        self.answers = Answers(
            amount, PERSON, self, rendered, ToldSessions(folder / "told"), PlainFiles(folder / "plain"), self.admit,
            clock=Clock(now_ns=lambda: self.now_ns),
        )  # fmt: skip

    def read(self, key: ContextKey, /) -> Context | None:
        return self.contexts.get(key)

    def want(self, key: ContextKey, /) -> bool:
        self.wanted.append(key)
        return True

    def admit(self, activities: list[Activity]) -> int:
        if self.refuses:
            raise self.refuses
        self.recorded += activities if self.takes else []
        return len(activities) if self.takes else 0

    def holds(self, version: str, *statements: Statement, age_s: float = 1.0) -> None:
        self.contexts[KEY] = Context(KEY, statements, self.now_ns / 1e9 - age_s, None, version)

    def tell(self, event: str, *, is_proven: bool = True, received_ns: int | None = None, **more: Any) -> str:
        """What Claude is given; empty for nothing."""
        payload = {"hook_event_name": event, "session_id": SESSION, "cwd": "/work/shop", **more}
        self.now_ns += 1_000_000
        raw = json.dumps(payload).encode()
        answer = self.answers.answer(raw, received_ns or self.now_ns, is_proven=is_proven)
        if not answer:
            return ""
        (output,) = json.loads(answer).values()
        assert output["hookEventName"] == event and set(output) == {"hookEventName", "additionalContext"}
        return str(output["additionalContext"])

    def starts(self, source: str = "startup", **more: Any) -> str:
        return self.tell("SessionStart", source=source, **more)

    def asks(self, **more: Any) -> str:
        return self.tell("UserPromptSubmit", prompt="go on", **more)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    found = Room(tmp_path)
    found.holds("v1", BUILD, PAIR)
    return found


def test_a_session_begins_with_all_of_it_and_is_told_once(room: Room) -> None:
    """With its sources; prompts add nothing until there is something new."""
    told = room.starts()
    assert BUILD.text in told and PAIR.text in told and BUILD.sources[0] in told
    assert [room.asks(), room.asks()] == ["", ""]


def test_a_prompt_is_told_only_what_is_new(room: Room) -> None:
    """Once."""
    room.starts()
    room.holds("v2", BUILD, PAIR, FLAKY)
    told = room.asks()
    assert FLAKY.text in told and BUILD.text not in told
    assert room.asks() == ""


def test_what_a_session_sees_happen_is_no_news_to_it(room: Room) -> None:
    """It is told when the session is taken up again, after others worked there."""
    room.starts()
    new = [
        statement(f"new {section}", section) for section in ("failure", "file", "session", "thread", "usage", "query")
    ]
    room.holds("v2", BUILD, PAIR, *new)
    assert room.asks() == ""
    room.holds("v3", BUILD, PAIR, *new, FLAKY)
    told = room.starts("resume")
    assert all(one.text in told for one in (*new, FLAKY)) and BUILD.text not in told


def test_a_figure_that_moves_is_no_news(room: Room) -> None:
    """What was spent grows with every prompt."""
    room.holds("v2", BUILD, SPEND)
    room.starts()
    room.holds("v3", BUILD, statement("$4.75 were spent here today.", "insight"))
    assert room.asks() == ""
    room.holds("v4", BUILD, statement("$4.75 were spent here today, twice the usual.", "insight"))
    assert "twice the usual" in room.asks()


@pytest.mark.parametrize("source", ["startup", "clear", "fork", "compact"])
def test_a_conversation_that_does_not_hold_it_is_told_again(room: Room, source: str) -> None:
    """After compaction nothing of it may be left."""
    room.starts()
    assert BUILD.text in room.starts(source)


def test_a_session_taken_up_again_is_told_what_is_new(room: Room) -> None:
    """What it was told stands in its conversation; of one we know nothing of, nothing is assumed."""
    assert BUILD.text in room.starts("resume")
    assert room.starts("resume") == ""
    room.holds("v2", BUILD, PAIR, FLAKY)
    told = room.starts("resume")
    assert FLAKY.text in told and BUILD.text not in told


def test_a_context_that_comes_later_is_told_whole_with_the_next_prompt(room: Room) -> None:
    """And asked for meanwhile."""
    room.contexts.clear()
    assert room.starts() == "" and room.wanted == [KEY]
    room.holds("v1", BUILD)
    assert BUILD.text in room.asks()


def test_a_session_is_not_told_of_itself(room: Room) -> None:
    """The first context of a new project knows of nothing else; another session is told."""
    own = statement(f'The session "{SESSION[:8]}" has not ended; its last prompt was "go on".', "thread")
    other = statement('The session "11111111" last did something on 2026-11-23.', "session")
    room.contexts.clear()
    assert room.starts() == ""
    room.holds("v1", own)
    assert room.asks() == "" and not room.recorded
    room.holds("v2", own, other)
    assert room.starts("clear").count("The session") == 1


def test_a_stale_context_is_told_at_once_and_asked_for(room: Room) -> None:
    """Nobody waits for a newer one; it says that it is old."""
    room.holds("v1", BUILD, age_s=FRESH_SECONDS * 60)
    assert BUILD.text in room.starts()
    assert room.wanted == [KEY] and room.recorded[0].feature_json["stale"] is True


def test_the_project_is_where_the_session_began(room: Room) -> None:
    """Whatever folder it went to since."""
    room.starts()
    room.holds("v2", statement("news", "insight"))
    assert "news" in room.asks(cwd="/work/shop/deep/down")


def test_who_does_not_prove_itself_hears_nothing(room: Room) -> None:
    """The token for bringing facts in may be read by others; a session of theirs is never spoken to."""
    assert room.starts(is_proven=False) == ""
    assert room.asks(is_proven=False) == ""
    assert room.recorded == []


def test_a_known_session_needs_no_more_proof(room: Room) -> None:
    """Its HTTP hooks have none; its id is nobody else's."""
    room.starts()
    room.holds("v2", statement("news", "insight"))
    assert "news" in room.asks(is_proven=False)


@pytest.mark.parametrize("session", ["", "../../etc/passwd", "a/b", "x" * 81, ".", "ä"])
def test_a_session_id_is_no_path(room: Room, session: str) -> None:
    """Nothing is written for it outside its folder."""
    room.starts(session_id=session)
    assert [path for path in (room.folder / "told").glob("**/*") if path.name != SESSION] == []


def test_what_is_told_is_recorded_to_the_letter(room: Room) -> None:
    """When, why and from which sources, as a fact of the session."""
    told = room.starts()
    (fact,) = room.recorded
    features = fact.feature_json
    assert fact.activity == "context_hydrated" and fact.session_id == SESSION and fact.customer == "ada@example.org"
    assert features["text"] == told and features["context_size"] == len(told.encode())
    assert (features["context_version"], features["hook_event"], features["is_whole"]) == ("v1", "SessionStart", True)
    assert (features["channel"], features["kind"], features["project_path"]) == ("service", "default", "/work/shop")
    first = _objects(features["statements"])[0]
    assert first == {"text": BUILD.text, "section": "failure", "sources": list(BUILD.sources), "why": BUILD.why}


@pytest.mark.parametrize("refusal", ["full", "not kept"])
def test_what_cannot_be_recorded_is_not_said(room: Room, refusal: str) -> None:
    """And counts as not told: it comes with the next prompt."""
    room.refuses = QueueError("full", "wait") if refusal == "full" else None
    room.takes = refusal != "not kept"
    if refusal == "full":
        with pytest.raises(QueueError):
            room.starts()
    else:
        assert room.starts() == ""
    room.refuses, room.takes = None, True
    assert BUILD.text in room.asks()


def test_what_nobody_waits_for_any_more_is_not_said(room: Room) -> None:
    """The hook gave up: told now, it would be recorded and never heard."""
    late = room.now_ns - int((PATIENCE_S + 0.1) * 1e9)
    assert room.starts(received_ns=late) == "" and room.recorded == []


def test_off_says_and_keeps_nothing(tmp_path: Path) -> None:
    """Not even that a session began."""
    room = Room(tmp_path, "off")
    room.holds("v1", BUILD)
    assert (room.starts(), room.asks(), list(tmp_path.iterdir())) == ("", "", [])


def test_what_was_kept_before_it_was_switched_off_goes(room: Room, tmp_path: Path) -> None:
    """Else the command hook would say it while no service runs."""
    room.starts()
    Room(tmp_path, "off").answers.forget()
    assert plain(room) == []


@pytest.mark.parametrize("amount", ["brief", "full"])
def test_it_is_never_longer_than_it_may_be(tmp_path: Path, amount: Amount) -> None:
    """The best statements; news get a third of it. What found no room was not told, and comes as news."""
    room = Room(tmp_path, amount)
    many = tuple(
        statement(f'"{letter * 60}" failed and was mended by "{letter * 90}".', "insight") for letter in LETTERS
    )
    room.holds("v1", *many)
    whole = room.starts()
    assert 0.8 * CHARACTERS_MAX[amount] < len(whole) <= CHARACTERS_MAX[amount] < 10_000
    room.holds("v2", *many)
    news = room.asks()
    assert len(news) <= CHARACTERS_MAX[amount] // 3
    assert not any(one.text in whole and one.text in news for one in many)


LETTERS = tuple(chr(code) for code in (*range(0x3B1, 0x3FF), *range(0x410, 0x450)))


def test_lone_surrogates_and_controls_are_valid_json_or_nothing(room: Room) -> None:
    """Claude Code is never given what it cannot read."""
    room.holds("v1", statement("\x00\x1f\u2028 " + "😀" * 100))
    assert "😀" in room.starts()


def test_a_subagents_prompt_is_left_alone(room: Room) -> None:
    """It does not speak for the session."""
    room.starts()
    room.holds("v2", statement("news", "insight"))
    assert room.asks(agent_id="a1") == ""


def _objects(found: JSON) -> list[dict[str, JSON]]:
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, dict)]


# -- the plain file ------------------------------------------------------------------------------------------------


def plain(room: Room) -> list[str]:
    return [path.read_text() for path in (room.folder / "plain").glob("*")]


def test_a_plain_file_is_kept_for_when_no_service_answers(room: Room) -> None:
    """Whole, whatever this session was told; with its version and when it was put together; of its owner only."""
    room.starts()
    (text,) = plain(room)
    project, version, built_at, answer = text.rstrip("\n").split("\n")
    assert (json.loads(project), version, int(built_at) // 10**9) == ("/work/shop", "v1", START_NS // 10**9 - 1)
    given = json.loads(answer)["hookSpecificOutput"]["additionalContext"]
    assert given.startswith("No cdesk service answers now; what follows was put together @AGE@ ago.\n")
    assert BUILD.text in given and len(given) <= CHARACTERS_MAX["brief"]
    (path,) = (room.folder / "plain").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_the_end_of_a_session_renews_the_plain_file(room: Room) -> None:
    """The next one may find no service."""
    room.starts()
    room.holds("v2", PAIR)
    assert room.tell("SessionEnd", reason="other") == ""
    (text,) = plain(room)
    assert "\nv2\n" in text and BUILD.text not in text


def test_a_beginning_that_was_kept_on_disk_counts(room: Room) -> None:
    """With the version it was given then, it is not told again; the record says that it came from the file."""
    room.starts(session_id="another")
    kept = json.dumps({"hook_event_name": "SessionStart", "session_id": SESSION, "cwd": "/work/shop"}).encode()
    room.answers.heard_of(kept, room.now_ns + 3_600 * 10**9, "v1")
    assert room.asks() == ""
    fact = room.recorded[-1].feature_json
    assert (fact["channel"], fact["context_version"], fact["session_id"]) == ("file", "v1", SESSION)
    assert str(fact["text"]).startswith("No cdesk service answers now; what follows was put together 1 hour ago.\n")
    assert [one["text"] for one in _objects(fact["statements"])] == [BUILD.text, PAIR.text]
    room.holds("v2", BUILD, PAIR, statement("news", "insight"))
    told = room.asks()
    assert "news" in told and BUILD.text not in told


def test_a_beginning_that_was_given_another_version_is_known_by_its_version(room: Room) -> None:
    """What it said can no longer be seen; insights that hold now are told with the next prompt."""
    room.holds("v1", BUILD, FLAKY)
    kept = json.dumps({"hook_event_name": "SessionStart", "session_id": SESSION, "cwd": "/work/shop"}).encode()
    room.answers.heard_of(kept, room.now_ns, "v0")
    assert room.recorded[-1].feature_json["context_version"] == "v0" and "text" not in room.recorded[-1].feature_json
    assert FLAKY.text in room.asks()


def test_a_beginning_kept_without_a_context_is_told_with_the_next_prompt(room: Room) -> None:
    """It was given nothing."""
    kept = json.dumps({"hook_event_name": "SessionStart", "session_id": SESSION, "cwd": "/work/shop"}).encode()
    room.answers.heard_of(kept, room.now_ns, None)
    assert room.recorded == [] and BUILD.text in room.asks()
