"""Carries out what people say about who did what: link, alias, remove, correct, and undo.

    claim ──check──▶ said already, or contradicted? ──count──▶ on record, unsettled ──rewrite──▶ settled

From the moment an operation is on record, new rows follow it; then the old ones are rewritten. A process that dies in
between leaves an unsettled operation, which the next one settles (`resume`).
"""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from cdesk.activity.resolution import Claim, Count, IdentityOperation, check_known, said_already
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import UsageError

Tell = Callable[[int, int], None]


class Identities(Protocol):
    """What this needs of a warehouse; `warehouse/duckdb/identity.py` says more."""

    @property
    def operations(self) -> Sequence[IdentityOperation]: ...
    def record(self, operation: IdentityOperation) -> None: ...
    def counts(self, claims: Iterable[Claim]) -> tuple[int, tuple[Count, ...]]: ...
    def rewrite(self, tell: Tell) -> None: ...
    def customers(self) -> set[str]: ...
    def anonymous_ids(self) -> set[str]: ...
    def has_fact(self, activity_id: str) -> bool: ...


class IdentityRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks to be done.

    claim     what they say; None with undo
    undo      the number of the operation to take back
    by        who says it
    reason    why
    new       names that no row has yet are no mistake
    dry_run   only count
    on        whose warehouse it is said to: this machine's own, or the team's
    """

    claim: Claim | None = None
    undo: int | None = None
    by: str | None = None
    reason: str | None = None
    new: bool = False
    dry_run: bool = False
    on: Literal["duckdb", "snowflake"] = "duckdb"


class IdentityOutcome(msgspec.Struct, frozen=True):
    """operation: as it stands now; None for what was only counted · is_new: False when it was said already, or undone
    · rows: that changed, or would · counts: of the customers they changed between"""

    operation: IdentityOperation | None
    is_new: bool
    rows: int = 0
    counts: tuple[Count, ...] = ()


def nobody_listens(done: int, total: int) -> None:
    return


class IdentityDesk:
    """One operation at a time. on_settled: called when rows are shown otherwise than before"""

    def __init__(
        self, identities: Identities, *, clock: Clock = SYSTEM_CLOCK, on_settled: Callable[[], None] = lambda: None
    ) -> None:
        self._identities = identities
        self._clock = clock
        self._on_settled = on_settled
        self._operating = threading.Lock()

    @property
    def operations(self) -> list[IdentityOperation]:
        """All on record, undone ones too, in the order in which they were said."""
        return list(self._identities.operations)

    def operation(self, number: int) -> IdentityOperation:
        for operation in self._identities.operations:
            if operation.number == number:
                return operation
        raise UsageError(f"there is no operation {number}.", "`cdesk identity list` shows them.")

    def check(self, request: IdentityRequest) -> None:
        """Raises UsageError for a request that will be refused."""
        if (request.claim is None) == (request.undo is None):
            raise UsageError("say either a claim or what to undo.")
        if request.claim is None:
            self.operation(request.undo or 0)
        elif self._said(request.claim) is None:
            self._check_names(request.claim, request.new)

    def act(self, request: IdentityRequest, tell: Tell = nobody_listens) -> IdentityOutcome:
        """Does it; saying it twice changes nothing. Raises UsageError, then nothing was changed."""
        with self._operating:
            self.check(request)
            if not request.dry_run:
                self._settle(nobody_listens)
            return self._undo(request, tell) if request.claim is None else self._claim(request, request.claim, tell)

    def resume(self, tell: Tell = nobody_listens) -> None:
        """Goes on with a rewriting that was cut short, if there is one."""
        with self._operating:
            self._settle(tell)

    def _claim(self, request: IdentityRequest, claim: Claim, tell: Tell) -> IdentityOutcome:
        known = self._said(claim)
        if known is not None:
            return IdentityOutcome(known, is_new=False)
        rows, counts = self._identities.counts([*self._standing(), claim])
        if request.dry_run:
            return IdentityOutcome(None, True, rows, counts)
        operation = IdentityOperation(
            **msgspec.structs.asdict(claim), number=len(self.operations) + 1, said_at=self._clock.now(),
            said_by=request.by or _user(), reason=request.reason, rows_changed=rows, counts=counts, is_settled=False,
        )  # fmt: skip
        return IdentityOutcome(self._carried_out(operation, tell), True, rows, counts)

    def _undo(self, request: IdentityRequest, tell: Tell) -> IdentityOutcome:
        operation = self.operation(request.undo or 0)
        if not operation.stands:
            return IdentityOutcome(operation, is_new=False)
        others = [known for known in self._standing() if known.number != operation.number]
        rows, counts = self._identities.counts(others)
        if request.dry_run:
            return IdentityOutcome(None, True, rows, counts)
        undone = msgspec.structs.replace(
            operation, undone_at=self._clock.now(), undone_by=request.by or _user(), undone_reason=request.reason,
            rows_restored=rows, is_settled=False,
        )  # fmt: skip
        return IdentityOutcome(self._carried_out(undone, tell), True, rows, counts)

    def _carried_out(self, operation: IdentityOperation, tell: Tell) -> IdentityOperation:
        self._identities.record(operation)
        self._settle(tell)
        return self.operation(operation.number)

    def _settle(self, tell: Tell) -> None:
        unsettled = [operation for operation in self.operations if not operation.is_settled]
        if not unsettled:
            return
        self._identities.rewrite(tell)
        for operation in unsettled:
            self._identities.record(msgspec.structs.replace(operation, is_settled=True))
        self._on_settled()

    def _said(self, claim: Claim) -> IdentityOperation | None:
        return said_already(claim, self._standing())

    def _standing(self) -> list[IdentityOperation]:
        return [operation for operation in self._identities.operations if operation.stands]

    def _check_names(self, claim: Claim, may_be_new: bool) -> None:
        if claim.kind == "correct":
            self._check_fact(claim.subject, may_be_new)
        elif claim.kind == "link":
            check_known(claim.subject, self._identities.anonymous_ids(), "anonymous id", may_be_new)
        else:
            check_known(claim.subject, self._customers(), "customer", may_be_new)
        if claim.customer is not None:
            check_known(claim.customer, self._customers(), "customer", may_be_new)

    def _check_fact(self, activity_id: str, may_be_new: bool) -> None:
        try:
            is_written_so = str(UUID(activity_id)) == activity_id
        except ValueError:
            is_written_so = False
        if not is_written_so or not (may_be_new or self._identities.has_fact(activity_id)):
            raise UsageError(f"there is no activity {activity_id!r}.", "Copy an activity_id as `cdesk sql` shows it.")

    def _customers(self) -> set[str]:
        said = {operation.customer for operation in self._standing() if operation.customer is not None}
        return self._identities.customers() | said


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
