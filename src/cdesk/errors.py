"""Every failure cdesk can name, drawn as one tree; each says what happened and what the person can do.

    CdeskError
    ├── UsageError            the command or request was malformed            exit 2
    │   ├── UnknownArtifact   there is none of this name
    │   └── UnknownTicket     there is none of this name, or its time is over
    ├── ConfigError           a setting is wrong                              exit 2
    ├── QueueError            the durable queue could not take or give a line
    │   └── QueueFull         the disk budget is spent; try again later     exit 75, EX_TEMPFAIL of sysexits.h
    ├── WarehouseError        the warehouse refused
    │   ├── WarehouseBusy     another process owns the database file; try again later
    │   ├── WarehouseUnready  the engine cannot write now, whatever the data; try again later
    │   └── QueryRefused      the SQL is not one read-only SELECT, or asks for what is not there
    │       └── OverCap       it would read more than it may
    ├── TooManyTickets        a role has as many questions under way as it may; try again later   exit 2
    ├── ArtifactError         content of an artifact cannot be kept or given
    │   ├── ContentMissing    its row is there, its content is not
    │   └── BucketAway        the bucket cannot be reached, or refuses; try again later
    ├── ContextError          the context cache cannot be written now; try again later
    └── ServiceError          the running service could not be reached or said no

`retryable` tells a mover whether the same call can succeed later.
"""

from __future__ import annotations


class CdeskError(Exception):
    """A failure with a remedy. `str()` is one line fit for a person; `hint` says what to do."""

    exit_code = 1
    retryable = False

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(CdeskError):
    exit_code = 2


class UnknownArtifact(UsageError):
    pass


class UnknownTicket(UsageError):
    pass


class ConfigError(CdeskError):
    exit_code = 2


class QueueError(CdeskError):
    pass


class QueueFull(QueueError):
    exit_code = 75
    retryable = True


class WarehouseError(CdeskError):
    pass


class WarehouseBusy(WarehouseError):
    retryable = True


class WarehouseUnready(WarehouseError):
    """No space, a lost file, a database that wants to be restarted."""

    retryable = True


class QueryRefused(WarehouseError):
    exit_code = 2


class OverCap(QueryRefused):
    """bytes, rows: what it was expected to read · cap: bytes it may · can_sample: a sample can be asked for instead"""

    def __init__(
        self, what: str, *, bytes: int, rows: int, cap: int, can_sample: bool, hint: str = "Ask for fewer days"
    ) -> None:
        super().__init__(
            f"{what} would read about {bytes:,} bytes, its cap is {cap:,}.",
            f"{hint}, or for a sample." if can_sample else f"{hint}.",
        )
        self.bytes, self.rows, self.cap, self.can_sample = bytes, rows, cap, can_sample


class TooManyTickets(CdeskError):
    exit_code = 2
    retryable = True


class ArtifactError(CdeskError):
    pass


class ContentMissing(ArtifactError):
    pass


class BucketAway(ArtifactError):
    retryable = True


class ContextError(CdeskError):
    retryable = True


class ServiceError(CdeskError):
    retryable = True
