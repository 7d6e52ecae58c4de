"""What Claude is told back: its context when a session begins, and with a prompt what is new since then.

    SessionStart startup, clear, fork, compact    all of it: this conversation holds none of it, or no longer
    SessionStart resume                           what is new: it is all there still; all of it when we know of nothing
    UserPromptSubmit                              insights that are new since this session was told; mostly nothing.
                                                  Failures, files and sums of the last minutes are mostly its own

    brief   about 1,500 characters, the best statements; with a prompt a third of it
    full    up to 9,500 (Claude Code puts aside what is over 10,000); with a prompt a third of it

Who asks must show that it may hear it: a session is spoken to once its beginning came from the command hook, which
shows a token that stands in no settings file; from then on its id, which nobody else knows, is enough. What is said is
durable as `context_hydrated` before it is said; what cannot be recorded is not said. What comes too late is not said
either, since nobody waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Person
from cdesk.capture.hook import Payload, SessionEnd, SessionStart, UserPromptSubmit, read
from cdesk.capture.hook_command import words
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.context.model import Context, ContextKey, Statement
from cdesk.context.plain import AGE, BYTES_MAX, PlainFiles
from cdesk.context.quote import quoted
from cdesk.context.told import Told, ToldSessions, mark

Amount = Literal["off", "brief", "full"]

CHARACTERS_MAX: dict[Amount, int] = {"off": 0, "brief": 1_500, "full": 9_500}
NEWS_SHARE = 3
NEWS = frozenset({"insight"})
"""Sections that are told with a prompt. A session sees the rest of what is new happen."""
ITSELF = frozenset({"session", "thread"})
"""Sections that name a session."""
PATIENCE_S = 0.25
"""The command hook waits 0.3 s and an HTTP hook 0.5 s; then nobody hears the answer."""
EVENTS = (b'"SessionStart"', b'"UserPromptSubmit"', b'"SessionEnd"')
UNSERVED = f"No cdesk service answers now; what follows was put together {AGE} ago.\n"


class ContextSource(Protocol):
    """The local context cache, as `context/cache.py` reads it."""

    def read(self, key: ContextKey, /) -> Context | None: ...

    def want(self, key: ContextKey, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Given:
    """What one session is told at one moment."""

    context: Context
    text: str
    shown: tuple[Statement, ...]
    is_whole: bool
    channel: Literal["service", "file"] = "service"


class Answers:
    """rendered: a context, the time in Unix seconds, characters at most → its text
    admit: makes activities durable and says how many may be kept; raises QueueError"""

    def __init__(
        self,
        amount: Amount,
        person: Person,
        contexts: ContextSource,
        rendered: Callable[[Context, float, int], str],
        sessions: ToldSessions,
        plain: PlainFiles,
        admit: Callable[[list[Activity]], int],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._amount = amount
        self._person = person
        self._contexts = contexts
        self._rendered = rendered
        self._sessions = sessions
        self._plain = plain
        self._admit = admit
        self._clock = clock

    def forget(self) -> None:
        """Nothing is left for the command hook to say. Raises OSError."""
        self._plain.clear()

    def may_answer(self, raw: bytes) -> bool:
        """Whether this payload may be one that is answered; quick, and never wrongly no."""
        return self._amount != "off" and any(event in raw for event in EVENTS)

    def answer(self, raw: bytes, received_ns: int, *, is_proven: bool) -> bytes:
        """The JSON to give to Claude Code, or nothing. Raises BadPayload, QueueError, OSError."""
        if not self.may_answer(raw):
            return b""
        told = read(raw)
        if isinstance(told, SessionStart) and is_proven:
            return self._begun(told, received_ns)
        if isinstance(told, UserPromptSubmit):
            return self._asked(told, received_ns)
        if isinstance(told, SessionEnd):
            self._ended(told)
        return b""

    def heard_of(self, raw: bytes, received_ns: int, version: str | None) -> None:
        """A payload that the command hook kept while no service answered: a session that began, and the version of the
        context it was given from its plain file. Raises QueueError, OSError."""
        told = read(raw) if self.may_answer(raw) else None
        if not isinstance(told, SessionStart) or not told.session_id or not told.cwd:
            return
        project = told.cwd
        if version is None:
            if self._sessions.of(told.session_id) is None:
                self._sessions.remember(told.session_id, Told(project))
            return
        self._say(told, self._given_by_file(project, version, received_ns), Told(project), received_ns)

    def _given_by_file(self, project_path: str, version: str, received_ns: int) -> Given:
        """What the plain file said then. Where it was made anew since, which version it was is all that is known."""
        key = ContextKey(self._person.customer, project_path)
        plain = self._plain.read(project_path)
        if plain is None or plain.version != version:
            return Given(Context(key, (), received_ns / 1e9, None, version), "", (), True, "file")
        age = words(max(0, received_ns - plain.built_ns) // 1_000_000_000).decode()
        text = _text(plain.answer).replace(AGE, age, 1)
        now = self._contexts.read(key)
        shown = tuple(one for one in now.statements if one.text in text) if now and now.version == version else ()
        return Given(Context(key, shown, plain.built_ns / 1e9, None, version), text, shown, True, "file")

    # -- decisions ---------------------------------------------------------------------------------------------------

    def _begun(self, told: SessionStart, received_ns: int) -> bytes:
        if not told.session_id or not told.cwd:
            return b""
        known = self._sessions.of(told.session_id)
        before = known if known is not None else Told(told.cwd)
        if told.source != "resume":
            before = Told(before.project_path)
        if before != known:
            self._sessions.remember(told.session_id, before)
        context = self._current(before)
        return b"" if context is None else self._told(told, context, before, received_ns)

    def _asked(self, told: UserPromptSubmit, received_ns: int) -> bytes:
        before = self._sessions.of(told.session_id) if told.session_id and not told.agent_id else None
        context = self._current(before) if before is not None else None
        if before is None or context is None:
            return b""
        return self._told(told, context, before, received_ns)

    def _ended(self, told: SessionEnd) -> None:
        """The next session here may find no service."""
        before = self._sessions.of(told.session_id) if told.session_id else None
        context = self._current(before) if before is not None else None
        if before is not None and context is not None:
            self._keep_plain(context, before.project_path)

    def _current(self, before: Told) -> Context | None:
        key = ContextKey(self._person.customer, before.project_path)
        context = self._contexts.read(key)
        if context is None or context.is_stale(self._now()):
            self._contexts.want(key)
        return context

    def _told(self, told: SessionStart | UserPromptSubmit, context: Context, before: Told, received_ns: int) -> bytes:
        session = told.session_id or ""
        if context.version == before.version:
            return b""
        is_whole = not before.version
        is_any = is_whole or isinstance(told, SessionStart)
        news = tuple(
            one for one in context.statements
            if (is_any or one.section in NEWS) and not before.knows(one) and not _is_about(session, one)
        )  # fmt: skip
        characters = CHARACTERS_MAX[self._amount] // (1 if is_whole else NEWS_SHARE)
        given = self._cut(context, news, characters, is_whole=is_whole)
        if not given.shown:
            self._sessions.remember(session, msgspec.structs.replace(before, version=context.version))
            return b""
        output = _output(type(told).__name__, given.text)
        is_late = self._now() - received_ns / 1e9 > PATIENCE_S
        if is_late or len(output) > BYTES_MAX or not self._say(told, given, before, received_ns):
            return b""
        self._keep_plain(context, before.project_path)
        return output

    def _cut(
        self, context: Context, statements: tuple[Statement, ...], characters: int, *, is_whole: bool = True
    ) -> Given:
        """These statements as text; those that found no room are not among the shown."""
        if not statements:
            return Given(context, "", (), is_whole)
        text = self._rendered(msgspec.structs.replace(context, statements=statements), self._now(), characters)
        return Given(context, text, tuple(one for one in statements if one.text in text), is_whole)

    # -- acts --------------------------------------------------------------------------------------------------------

    def _say(self, told: Payload, given: Given, before: Told, received_ns: int) -> bool:
        """Whether it is recorded that it is said."""
        if self._admit([self._fact(told, given, before.project_path, received_ns)]) != 1:
            return False
        marks = before.marks | {mark(statement) for statement in given.shown}
        self._sessions.remember(told.session_id or "", Told(before.project_path, given.context.version, marks))
        return True

    def _keep_plain(self, context: Context, project_path: str) -> None:
        characters = CHARACTERS_MAX[self._amount] - len(UNSERVED)
        whole = self._cut(context, context.statements, characters)
        if whole.shown:
            output = _output("SessionStart", UNSERVED + whole.text)
            self._plain.keep(project_path, context.version, context.built_at, output)

    def _fact(self, told: Payload, given: Given, project_path: str, received_ns: int) -> Activity:
        context = given.context
        event = type(told).__name__
        at = Clock(now_ns=lambda: received_ns).now()
        features: Features = {
            "session_id": told.session_id, "event_type": "hydration", "hook_event": event, "kind": context.key.kind,
            "context_version": context.version, "context_size": len(given.text.encode("utf-8", "replace")) or None,
            "context_age_ms": round(context.age_seconds(received_ns / 1e9) * 1000, 3),
            "stale": context.is_stale(received_ns / 1e9), "is_whole": given.is_whole, "channel": given.channel,
            "text": given.text or None, "project_path": project_path,
            "statements": [
                {"text": one.text, "section": one.section, "sources": list(one.sources), "why": one.why}
                for one in given.shown
            ],
        }  # fmt: skip
        return Activity(
            activity_id=activity_id("context", "hydrated", told.session_id or "", event, at.isoformat()), ts=at,
            activity="context_hydrated", customer=self._person.customer, org_id=self._person.org_id,
            anonymous_customer_id=self._person.anonymous_customer_id, session_id=told.session_id, source="hook",
            feature_json={name: value for name, value in features.items() if value is not None},
        )  # fmt: skip

    def _now(self) -> float:
        return self._clock.now_ns() / 1e9


def _is_about(session: str, one: Statement) -> bool:
    """Whether it tells a session of itself."""
    return one.section in ITSELF and f"The session {quoted(session[:8], 8)}" in one.text


def _text(output: bytes) -> str:
    return str(msgspec.json.decode(output)["hookSpecificOutput"]["additionalContext"])


def _output(event: str, text: str) -> bytes:
    return msgspec.json.encode({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})
