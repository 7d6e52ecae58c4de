"""Ready-made questions: each a file of SQL, with its name, a title, and what its columns hold.

Every one takes how many days back it looks, and a project (none: all). What was asked goes into the query log with its
values, so that an answer can be cited and explained.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import UsageError
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Answer, Warehouse

DAYS_MAX = 366
ROWS_MAX = 500
SECONDS_MAX = 10.0


class Question(msgspec.Struct, frozen=True):
    """name: also of its file, `question_<name>.sql` · columns: in order, with what each holds"""

    name: str
    title: str
    columns: dict[str, str]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """project: a folder; None: all"""

    question: str
    days: int = 7
    project: str | None = None


_MONEY = "US dollars; null where no price is known"

QUESTIONS: tuple[Question, ...] = (
    Question("spend_by_day", "What each day cost", {
        "day": "UTC", "cost_usd": _MONEY, "tokens": "of all kinds", "responses": "of the model", "sessions": "with one",
    }),
    Question("spend_by_model", "What each model cost", {
        "model": "its name", "cost_usd": _MONEY, "tokens": "of all kinds", "responses": "of the model",
    }),
    Question("spend_by_project", "What each project cost", {
        "project": "its folder", "cost_usd": _MONEY, "tokens": "of all kinds", "sessions": "with a response",
        "last_active": "UTC",
    }),
    Question("tool_usage", "Which tools are used, and how often they fail", {
        "tool": "its name", "calls": "that ended", "failed": "of these", "failure_pct": "of 100 calls",
        "latency_p50_ms": "half are faster", "last_used": "UTC",
    }),
    Question("slowest_tools", "Which tools are waited for longest", {
        "tool": "its name", "calls": "with a known time", "latency_p50_ms": "half are faster",
        "latency_p95_ms": "95 of 100 are faster", "waited_s": "in all",
    }),
    Question("recent_sessions", "The sessions of late", {
        "session": "its id", "project": "its folder", "began": "UTC", "ended": "its last activity, UTC",
        "prompts": "of the person", "tool_calls": "of Claude", "failed_calls": "of these", "cost_usd": _MONEY,
    }),
    Question("failures_now", "What failed lately, each with its last message", {
        "what": "tool, or kind of request", "error_type": "kind of failure", "times": "it failed", "last_at": "UTC",
        "last_message": "as it was recorded", "last_activity": "cite it as activity:<id>",
    }),
)  # fmt: skip
_BY_NAME = {question.name: question for question in QUESTIONS}


class Questions:
    """Answers for one warehouse. `query_id` makes ids for the query log."""

    def __init__(self, warehouse: Warehouse, query_id: Callable[[], str], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._query_id = query_id
        self._clock = clock

    def ask(self, asked: Asked) -> Answer:
        """Raises UsageError for an unknown question, and QueryRefused when it takes longer than SECONDS_MAX."""
        question = _BY_NAME.get(asked.question)
        if question is None:
            raise UsageError(f"there is no question {asked.question[:60]!r}.", _nearest(asked.question))
        if not 1 <= asked.days <= DAYS_MAX:
            raise UsageError(f"days is a number from 1 to {DAYS_MAX}, not {asked.days}.")
        sql, names = prepared(f"question_{question.name}")
        since = self._clock.now().replace(tzinfo=None) - timedelta(days=asked.days)
        project = asked.project.rstrip("/") or "/" if asked.project else None
        values = {"since": since, "project": project}
        return self._warehouse.ask(
            f"-- {msgspec.json.encode(asked).decode()}\n{sql}", [values[name] for name in names],
            query_id=self._query_id(), rows_max=ROWS_MAX, seconds_max=SECONDS_MAX,
        )  # fmt: skip


def _nearest(name: str) -> str:
    near = get_close_matches(name, _BY_NAME, 1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(_BY_NAME)}."
