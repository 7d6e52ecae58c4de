"""What laptops send to a collector: proved, checked line by line, stamped, redacted once more, and durable before the receipt.

    body ──▶ proof ──▶ unpack ──▶ each line whole? an activity? the sender's own? ──▶ org_id ──▶ redact ──▶ queue ──▶ receipt

A batch is taken wholly or not at all. One that is sent again, as its receipt was lost, is taken again: facts are known by
their ids in the warehouse, so it changes nothing.
"""

from __future__ import annotations

import secrets
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from cdesk.activity.codec import BadLine, decode
from cdesk.activity.model import Activity
from cdesk.capture.gate import Gate
from cdesk.capture.laptops import Laptop, Laptops
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, UsageError
from cdesk.governance.handshake import proof, proves
from cdesk.queue.writer import LINE_BYTES_MAX

BODY_BYTES_MAX = 16 * 1024 * 1024
LINES_BYTES_MAX = 64 * 1024 * 1024
SESSION_S = 600.0
_GZIP = 16 + zlib.MAX_WBITS


class NotInvited(CdeskError):
    """Nobody of this name is invited, or they did not prove it."""


class SessionOver(NotInvited):
    """As after a restart: whoever says hello again goes on."""


class TooLarge(CdeskError):
    """More than one batch may have."""


class BadBatch(UsageError):
    """index: of the line that cannot be taken, from 0"""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"line {index + 1} cannot be taken: {reason}.")
        self.index = index


class Hello(msgspec.Struct, frozen=True):
    """session: to be named with each batch, for some minutes · proof: that this collector holds the laptop's key"""

    session: str
    proof: str


class Heard(msgspec.Struct, frozen=True):
    """One laptop, since the service started. accepted: lines made durable · refused: batches"""

    name: str
    org_id: str | None
    accepted: int = 0
    refused: int = 0
    last_heard_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    receipt: bytes
    proof: str
    accepted: int


class Collected:
    """Safe to use from several threads."""

    def __init__(self, gate: Callable[[], Gate], laptops: Laptops, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._gate = gate
        self._laptops = laptops
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._heard: dict[str, Heard] = {}

    def hello(self, name: str, nonce: str) -> Hello:
        """Raises NotInvited."""
        laptop = self._invited(name)
        until = f"{self._clock.monotonic() + SESSION_S:.0f}.{secrets.token_hex(16)}"
        session = f"{until}.{self._sign(name, until)}"
        key = bytes.fromhex(laptop.key)
        return Hello(session, proof(key, "collector", name.encode(), nonce.encode(), session.encode()))

    def take(self, name: str, session: str, given: str, body: bytes) -> Taken:
        """Raises NotInvited, TooLarge, BadBatch, and QueueError: then nothing was taken."""
        try:
            laptop = self._proved(name, session, given, body)
            lines = [line + b"\n" for line in _unpacked(body).split(b"\n") if line]
            gate = replace(self._gate(), relief=None)  # it was a laptop's to leave something out
            kept = self._lines(gate, laptop, lines)
            gate.writer.append(kept)
        except CdeskError as error:
            self._note(name, refused=0 if isinstance(error, SessionOver) else 1)
            raise
        self._note(name, accepted=len(lines))
        receipt = msgspec.json.encode({"accepted": len(lines)})
        key = bytes.fromhex(laptop.key)
        return Taken(receipt, proof(key, "receipt", session.encode(), body, receipt), len(lines))

    def heard(self) -> list[Heard]:
        """Everybody who is invited."""
        with self._lock:
            heard = dict(self._heard)
        return [heard.get(one.name, Heard(one.name, one.org_id)) for one in self._laptops.all() if one.key]

    def _invited(self, name: str) -> Laptop:
        found = self._laptops.find(name)
        if found is None:
            raise NotInvited(f"{name[:100]} is not invited here.", "Ask whoever runs the collector for an invitation.")
        return found

    def _proved(self, name: str, session: str, given: str, body: bytes) -> Laptop:
        laptop = self._invited(name)
        until, _, signature = session.rpartition(".")
        if not secrets.compare_digest(signature.encode(), self._sign(name, until).encode()) or _seconds(until) < self._clock.monotonic():  # fmt: skip
            raise SessionOver("the session is over.", "Say hello again.")
        if not proves(given, bytes.fromhex(laptop.key), "laptop", name.encode(), session.encode(), body):
            raise NotInvited(
                "the proof does not fit the batch.", "The token is not this laptop's, or somebody changed it."
            )
        return laptop

    def _sign(self, name: str, until: str) -> str:
        return proof(self._secret, "collector", name.encode(), until.encode())

    def _lines(self, gate: Gate, laptop: Laptop, lines: list[bytes]) -> list[bytes]:
        kept: list[bytes] = []
        for index, line in enumerate(lines):
            try:
                sealed = gate.lines([_stamped(decode(line), laptop)])
            except (BadLine, ValueError) as error:
                raise BadBatch(index, str(error)) from None
            if any(len(one) > LINE_BYTES_MAX for one in sealed):
                raise BadBatch(index, f"it has over {LINE_BYTES_MAX:,} bytes, which is the limit")
            kept += sealed
        return kept

    def _note(self, name: str, accepted: int = 0, refused: int = 0) -> None:
        laptop = self._laptops.find(name)
        if laptop is None:
            return
        with self._lock:
            before = self._heard.get(name, Heard(name, laptop.org_id))
            self._heard[name] = Heard(
                name, laptop.org_id, before.accepted + accepted, before.refused + refused, self._clock.now()
            )


def _stamped(activity: Activity, laptop: Laptop) -> Activity:
    """In the laptop's organisation, whatever it says. Raises ValueError for somebody else's activity."""
    if laptop.customer is not None and activity.customer != laptop.customer:
        raise ValueError(f"{laptop.name} sends for {laptop.customer}, not for {activity.customer[:100]}")
    return msgspec.structs.replace(activity, org_id=laptop.org_id)


def _unpacked(body: bytes) -> bytes:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"a batch has at most {BODY_BYTES_MAX:,} bytes.")
    unpacking = zlib.decompressobj(_GZIP)
    try:
        lines = unpacking.decompress(body, LINES_BYTES_MAX)
    except zlib.error as error:
        raise UsageError(f"the batch is not gzip: {error}.") from None
    if unpacking.unconsumed_tail:
        raise TooLarge(f"a batch has at most {LINES_BYTES_MAX:,} bytes of lines.")
    if not unpacking.eof:
        raise UsageError("the batch is cut off.")
    return lines


def _seconds(until: str) -> float:
    try:
        return float(until.partition(".")[0])
    except ValueError:
        return -1.0
