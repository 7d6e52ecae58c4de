"""Who may send to this collector: laptops that were invited, in one file that only its owner can read.

Whoever is invited sends as one customer, into one organisation. A revoked laptop stays on record, its key does not.
"""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import ConfigError, UsageError
from cdesk.governance.handshake import NAME, Invitation, invite
from cdesk.queue.disk import Disk


class Laptop(msgspec.Struct, frozen=True):
    """customer: whose activities it may send, null for anybody's · org_id: where they are counted, whatever they say
    key: 64 hex digits, empty once it is revoked"""

    name: str
    customer: str | None
    org_id: str | None
    key: str
    invited_at: datetime
    revoked_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Laptop({self.name!r})"


class Laptops:
    """Read anew whenever the file has changed: who is revoked is refused from then on. Raises ConfigError when it is damaged."""

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = path
        self._clock = clock
        self._disk = Disk()
        self._lock = threading.Lock()
        self._known: dict[str, Laptop] = {}
        self._seen: tuple[int, int] | None = None

    def all(self) -> list[Laptop]:
        with self._lock:
            return sorted(self._read().values(), key=lambda laptop: laptop.name)

    def find(self, name: str) -> Laptop | None:
        """None for who was never invited, or is revoked."""
        with self._lock:
            found = self._read().get(name)
        return found if found is not None and found.key else None

    def invite(self, name: str, *, customer: str | None, org_id: str | None) -> Invitation:
        """Its token is not kept in readable form anywhere else. Raises UsageError for a name that is taken or odd."""
        if not NAME.fullmatch(name):
            raise UsageError(f"{name[:60]!r} is no name for a laptop.", "Up to 100 of letters, digits and @ . _ + -")
        with self._lock:
            known = self._read()
            if name in known and known[name].key:
                raise UsageError(f"{name} is invited already.", f"`cdesk collector revoke {name}` first.")
            made = invite(name)
            self._keep({**known, name: Laptop(name, customer, org_id, made.key.hex(), self._clock.now())})
        return made

    def revoke(self, name: str) -> None:
        """Raises UsageError for who is not invited."""
        with self._lock:
            known = self._read()
            if name not in known or not known[name].key:
                raise UsageError(f"{name[:60]} is not invited.", "`cdesk collector list` shows who is.")
            gone = msgspec.structs.replace(known[name], key="", revoked_at=self._clock.now())
            self._keep({**known, name: gone})

    def _read(self) -> dict[str, Laptop]:
        try:
            about = self._path.stat()
            seen = (about.st_mtime_ns, about.st_ino)
            if seen != self._seen:
                found = msgspec.json.decode(self._path.read_bytes(), type=list[Laptop])
                self._known, self._seen = {laptop.name: laptop for laptop in found}, seen
        except FileNotFoundError:
            self._known, self._seen = {}, None
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"cannot read who is invited, {self._path}: {error}.", "Restore it, or remove it and invite anew."
            ) from None
        return self._known

    def _keep(self, laptops: dict[str, Laptop]) -> None:
        self._disk.folder(self._path.parent)
        self._disk.replace(self._path, msgspec.json.encode(list(laptops.values())) + b"\n")
