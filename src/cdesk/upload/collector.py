"""Carries a laptop's lines to the team's collector, as if it were a warehouse: what it gave a receipt for is durable there.

Whatever may succeed later (nobody answers, the collector is full, this laptop is revoked) is tried again, and the queue keeps
everything meanwhile. Only a line that the collector cannot take is set aside, that line alone.
"""

from __future__ import annotations

import gzip
import http.client
import ipaddress
import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cdesk.activity.codec import seal
from cdesk.activity.model import Activity, RawActivity
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import ConfigError, ServiceError, WarehouseError
from cdesk.governance.handshake import Invitation, proof, proves
from cdesk.warehouse.warehouse import Merged

HELLO = "/v1/collector/hello"
BATCH = "/v1/collector/activities"
PATIENCE_S = 30.0
SESSION_S = 300.0
"""Half of what the collector allows."""
_encode = msgspec.json.Encoder().encode


class Collector:
    """One connection, kept open. Not for several threads. Raises ConfigError for an address that cannot be used.

    ca_file: whom to trust instead of the system's authorities"""

    def __init__(
        self, url: str, invitation: Invitation, *, ca_file: Path | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._invitation = invitation
        self._clock = clock
        self._host, self._port, self._tls = _address(url, ca_file)
        self._connection: http.client.HTTPConnection | None = None
        self._session = ""
        self._session_until = 0.0

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        """What came of the facts is known only there: all count as inserted. Raises ServiceError, and WarehouseError for a
        batch that it will never take."""
        if not activities:
            return Merged()
        body = gzip.compress(b"".join(seal(_encode(activity)) for activity in activities), 1)
        if not self._session or self._clock.monotonic() > self._session_until:
            self.hello()
        status, receipt, given = self._send(body)
        if status == 401:  # it was started anew, or the session is over
            self.hello()
            status, receipt, given = self._send(body)
        self._check(status, receipt)
        key = self._invitation.key
        if not proves(given, key, "receipt", self._session.encode(), body, receipt):
            self._forget()
            raise ServiceError(
                "the receipt is not from your collector.", "Somebody answers in its place; nothing is lost."
            )
        return Merged(inserted=len(activities))

    def hello(self) -> None:
        """Nothing of ours is sent before the collector has proved itself. Raises ServiceError."""
        nonce, name = secrets.token_hex(16), self._invitation.name
        status, content, _ = self._ask(HELLO, _encode({"name": name, "nonce": nonce}), {})
        self._check(status, content)
        try:
            told = msgspec.json.decode(content, type=dict[str, str])
            session, given = told["session"], told["proof"]
        except (ValueError, KeyError):
            session = given = ""
        parts = (name.encode(), nonce.encode(), session.encode())
        if not session.isascii() or not proves(given, self._invitation.key, "collector", *parts):
            self._forget()
            raise ServiceError(
                f"{self._host}:{self._port} does not prove to be your collector; nothing was sent.",
                "Check the address, or ask for a new invitation.",
            )
        self._session, self._session_until = session, self._clock.monotonic() + SESSION_S

    def close(self) -> None:
        self._forget()

    def _send(self, body: bytes) -> tuple[int, bytes, str]:
        name, session = self._invitation.name, self._session
        return self._ask(BATCH, body, {
            "Cdesk-Laptop": name, "Cdesk-Session": session,
            "Cdesk-Proof": proof(self._invitation.key, "laptop", name.encode(), session.encode(), body),
        })  # fmt: skip

    def _ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
        """Status, content and proof of one answer; a connection that was closed in a pause is opened anew, once."""
        was_open = self._connection is not None
        try:
            return self._ask_once(path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._forget_connection()
            if not was_open:
                raise _away(self._host, self._port, error) from None
        try:
            return self._ask_once(path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._forget_connection()
            raise _away(self._host, self._port, error) from None

    def _ask_once(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
        if self._connection is None:
            self._connection = (
                http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE_S)
                if self._tls is None
                else http.client.HTTPSConnection(self._host, self._port, timeout=PATIENCE_S, context=self._tls)
            )
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Cdesk-Proof", "")

    def _check(self, status: int, content: bytes) -> None:
        if status < 300:
            return
        why = _why(content) or f"it answered {status}."
        if status in (413, 422):
            raise WarehouseError(f"the collector does not take it: {why}")
        self._session = ""
        raise ServiceError(f"the collector refuses: {why}", "" if why.count(".") > 1 else "It is tried again.")

    def _forget(self) -> None:
        self._session = ""
        self._forget_connection()

    def _forget_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _address(url: str, ca_file: Path | None) -> tuple[str, int, ssl.SSLContext | None]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigError(f"{url!r} is no collector's address.", "It looks like https://collector.example:4610")
    if parts.scheme == "http":
        if not _is_loopback(host):
            raise ConfigError("http:// is for this machine only.", "Others could read along: use https://")
        return host, parts.port or 80, None
    try:
        return host, parts.port or 443, ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot read the authorities in {ca_file}: {error}.", "It is a file in PEM form.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _away(host: str, port: int, error: Exception) -> ServiceError:
    why = (
        error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error) or type(error).__name__
    )
    return ServiceError(
        f"the collector at {host}:{port} cannot be reached: {why}.", "The queue keeps everything meanwhile."
    )


def _why(content: bytes) -> str:
    try:
        found: Any = msgspec.json.decode(content)
        return str(found["error"])[:400]
    except (ValueError, KeyError, TypeError):
        return ""
