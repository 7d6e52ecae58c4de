"""What Claude and people say they have learned, and what people say about it later."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family

_STATEMENT = "the fact in one plain sentence"
_AUTHOR = F("author", "string", "claude or person", privacy="public")
_VALUE = F("value", "any", "the fact as a figure or a word, where it is one", privacy="content")

INSIGHT = Family(
    "insight",
    "VW_INSIGHT_EVENTS",
    (
        Declaration(
            "insight_recorded",
            "somebody recorded an insight; its atom bears this activity's id",
            (
                F("subject", "string", "what it is about: tests, build, deploy, …", required=True),
                F("metric", "string", "what of it: command, owner, duration, …", required=True),
                F("statement", "string", _STATEMENT, privacy="content", required=True),
                _VALUE,
                F("unit", "string", "unit of the value", privacy="public"),
                F("grain", "string", "what one value stands for: daily, session, …", privacy="public"),
                F("confidence", "number", "how sure its author is, 0 to 1", privacy="public"),
                F("valid_until", "string", "until when it holds, ISO 8601 in UTC; null for 90 days", privacy="public"),
                F("evidence", "array", "ids of the activities it rests on", privacy="public"),
                _AUTHOR,
                F("replaces", "string", "id of an atom that it replaces", privacy="public"),
                *COMMON,
            ),
        ),
        Declaration(
            "insight_corrected",
            "a person silenced, restored or corrected an atom; a correction's own atom bears this activity's id",
            (
                F("atom_id", "string", "the atom", privacy="public", required=True),
                F("action", "string", "silence, restore or correct", privacy="public", required=True),
                F("statement", "string", f"{_STATEMENT}, as it should be", privacy="content"),
                _VALUE,
                F("reason", "string", "why", privacy="content"),
                _AUTHOR,
                *COMMON,
            ),
        ),
    ),
)
