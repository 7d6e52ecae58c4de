"""Snowflake's failures become ours here, once: what happened, whether trying again can help, and what a person can do.

Only what Snowflake says of a value is a line's fault. All else (credentials, grants, a warehouse, a table, the network) is
mended by somebody or by itself while the queue holds everything: to take it for the fault of a line would set good lines
aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from cdesk.errors import ConfigError, QueryRefused, WarehouseError, WarehouseUnready

if TYPE_CHECKING:
    from snowflake.connector.errors import Error

VALUES = range(100_000, 101_000)
"""Error numbers of values that cannot be taken: too long, no number, no JSON, null where none may be, …"""

LOST = frozenset({250_002, 250_003, 251_000, 390_104, 390_108, 390_110, 390_111, 390_112, 390_114, 390_115})
"""The session is gone: closed, expired, or the network is."""

STOPPED = frozenset({604, 630})
"""Cancelled, or out of time."""

_REMEDIES: dict[int, str] = {
    606: "Give the role a warehouse (`cdesk deploy apply --target snowflake`), or name one in [snowflake] of config.toml.",
    608: "The warehouse is being resumed or has no capacity.",
    630: "The statement ran into its time limit: see [snowflake] statement_seconds_max.",
    2003: "It is missing, or the role may not see it: `cdesk deploy apply --target snowflake`, or a grant.",
    2043: "It is missing, or the role may not see it: `cdesk deploy apply --target snowflake`, or a grant.",
    3001: "The role lacks a privilege: `cdesk deploy plan --target snowflake` shows which grants are wanted.",
    90_073: "The warehouse is suspended by its resource monitor until its next period, or until the quota is raised.",
    90_105: "Name a database in [snowflake] of config.toml.",
    90_106: "Name a schema in [snowflake] of config.toml.",
    253_003: "See that the stage's storage can be reached from this machine, and that its clock is right.",
    250_001: "See that account, user and key are those of [snowflake] in config.toml or of your connections.toml.",
    390_100: "See user and key in [snowflake] of config.toml or in your connections.toml.",
    390_144: "The key pair is not this user's, or this machine's clock is wrong: compare `DESC USER` and `date`.",
    390_303: "The OAuth token is not valid: write a new one into the token file.",
    390_318: "The OAuth token has expired: write a new one into the token file.",
    390_422: "A network policy keeps this machine out: ask who administers the account.",
}
_NUMBERED = re.compile(r"^\d{6} \(\w{5}\): ")
_LATER = "Nothing is lost, it is tried again."


@contextmanager
def translated() -> Iterator[None]:
    """Raises WarehouseError for a value that cannot be taken, WarehouseUnready for everything else."""
    errors = connector_errors()
    try:
        yield
    except errors.Error as error:
        if number(error) in VALUES:
            raise WarehouseError(first_line(error)) from error
        raise unready(error) from error


@contextmanager
def answered(seconds_max: float) -> Iterator[None]:
    """As `translated`, for a question from outside: what Snowflake does not understand is refused."""
    errors = connector_errors()
    try:
        yield
    except errors.Error as error:
        code = number(error)
        if code in STOPPED:
            raise QueryRefused(
                f"the query ran longer than {seconds_max:g} s and was stopped.", "Narrow it down."
            ) from None
        if code in LOST or not isinstance(error, errors.ProgrammingError):
            raise unready(error) from error
        raise QueryRefused(f"{first_line(error).rstrip('.')}.", _REMEDIES.get(code, "")) from None


def unready(error: Error) -> WarehouseUnready:
    advice = remedy(error) or "See that Snowflake can be reached."
    return WarehouseUnready(f"Snowflake cannot be used now: {first_line(error).rstrip('.')}.", f"{advice} {_LATER}")


def remedy(error: Error) -> str:
    """What a person can do; empty when that is not known."""
    return _REMEDIES.get(number(error), "")


def number(error: BaseException | None) -> int:
    """Snowflake's, -1 when it is none of Snowflake's."""
    try:
        return int(getattr(error, "errno", -1))
    except (TypeError, ValueError):
        return -1


def is_lost(error: BaseException) -> bool:
    """Whether another session may succeed where this one failed."""
    errors = connector_errors()
    return isinstance(error, (errors.OperationalError, errors.InterfaceError)) or (
        isinstance(error, errors.Error) and number(error) in LOST
    )


def first_line(error: BaseException) -> str:
    """Without the number of the query, which `str` puts before it."""
    said = str(getattr(error, "raw_msg", None) or getattr(error, "msg", None) or error).strip()
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [type(error).__name__]
    line = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return _NUMBERED.sub("", line)


def connector_errors() -> ModuleType:
    """Imported when something is asked of Snowflake: the connector takes more than half a second."""
    try:
        return import_module("snowflake.connector.errors")
    except ImportError:
        raise ConfigError(
            "Snowflake's connector is not installed.", "Install it: pip install 'cdesk[snowflake]'."
        ) from None
