"""Asks the team's warehouse: the same questions, as they are written, and SQL in Snowflake's own words.

Limits first. Snowflake says no size before a statement runs: here are caps of rows and time, none of bytes, and no samples;
its own limits are the monitors of the warehouse that the role uses. What may be read is the role's to say. An answer is not
recorded, as who else writes there is not known here: asked again, it is run again. Its id names what was asked and of which
state of the stream, and stands in the query tag of the run, `cdesk:<query_id>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueryRefused
from cdesk.query.ask import ROWS_MAX, SECONDS_MAX, Answered, AskRequest, bound, engine, unrecorded
from cdesk.query.provenance import DataVersion, query_id, question_key
from cdesk.query.questions import Questions
from cdesk.query.template import Statement
from cdesk.warehouse.warehouse import IS_DATA, STREAM, Answer, Warehouse

_STATE = f"SELECT MAX(_seq), MAX(CASE WHEN {IS_DATA} THEN ts END) FROM {STREAM}"
_PLACE = re.compile(r"(?<![\w:\"\])]):(\d+)\b")


class Team:
    """Answers for the team's warehouse. May be asked from several threads at once."""

    def __init__(
        self,
        warehouse: Warehouse,
        questions: Questions,
        new_query_id: Callable[[], str],
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._warehouse = warehouse
        self._questions = questions
        self._new_query_id = new_query_id
        self._clock = clock

    def sql(
        self, sql: str, *, rows_max: int, seconds_max: float, over_cap: Literal["refuse", "sample"] = "refuse"
    ) -> Answer:
        """Raises QueryRefused for what is not one SELECT, for what the role may not read, for a sample, and for what takes
        too long."""
        _no_sample(over_cap)
        return self._warehouse.ask(sql, query_id=self._new_query_id(), rows_max=rows_max, seconds_max=seconds_max)

    def ask(self, name: str, asked: AskRequest) -> Answered:
        """Raises UsageError for what is not known or out of bounds, QueryRefused for who may not ask, for a sample, and
        for what takes too long."""
        template = self._questions.allowed(name, asked.role)
        _no_sample(asked.over_cap)
        values = template.values(asked.parameters)
        given = bound(template, values, self._clock.now())
        seq, as_of = self._warehouse.query(_STATE).rows[0]
        version = DataVersion(f"snowflake s{seq}", as_of)
        key = question_key(template, values, asked.role)
        id_ = query_id(key, [given[each] for each in template.ask.names], version.text)
        began, (sql, names) = self._clock.now(), placed(template.ask)
        answer = self._warehouse.ask(
            sql, [engine(each, given[each]) for each in names], query_id=id_, rows_max=ROWS_MAX, seconds_max=SECONDS_MAX
        )
        return unrecorded(template, values, answer, began, version)


def placed(statement: Statement) -> tuple[str, list[str]]:
    """As Snowflake's connector takes it: a `?` wherever a name stands, and the names of each."""
    names = [statement.names[int(number) - 1] for number in _PLACE.findall(statement.sql)]
    return _PLACE.sub("?", statement.sql), names


def _no_sample(over_cap: str) -> None:
    if over_cap == "sample":
        raise QueryRefused(
            "the team's warehouse gives no samples: Snowflake says no size before a statement runs.",
            "Ask for less time, or of your own warehouse.",
        )
