"""Talks to the running service of this home, when there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import msgspec

from cdesk.config import Home
from cdesk.errors import CdeskError, ServiceError, UsageError

if TYPE_CHECKING:
    import http.client

TIMEOUT_S = 60.0


class ServiceRecord(msgspec.Struct, frozen=True):
    """What the service writes to `service.json` while it runs."""

    pid: int
    port: int
    started_at: str


@dataclass(frozen=True, slots=True)
class Client:
    """One running service. Every call raises ServiceError when it cannot be reached, or its own error."""

    record: ServiceRecord
    token: str
    patience_s: float = TIMEOUT_S

    def get(self, path: str) -> Any:
        return self._call("GET", path, b"")

    def post(self, path: str, body: Any) -> Any:
        return self._call("POST", path, msgspec.json.encode(body))

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path, b"")

    def download(self, path: str, out: IO[bytes]) -> None:
        """A whole answer, whatever it is."""
        import http.client
        import shutil

        connection, response = self._open("GET", path, b"", None)
        try:
            if response.status >= 400:
                _raise(response.status, response.read())
            shutil.copyfileobj(response, out)
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
        except http.client.HTTPException as error:
            raise _unanswered(error) from None
        finally:
            connection.close()

    def check_awake(self, seconds: float) -> None:
        """Raises ServiceError unless it answers within so many seconds; one that hangs still takes connections."""
        connection, _ = self._open("GET", "/healthz", b"", seconds)
        connection.close()

    def stream(self, path: str, body: Any) -> Iterator[Any]:
        """The JSON lines of a long answer, as they come."""
        connection, response = self._open("POST", path, msgspec.json.encode(body), None)
        try:
            if response.status >= 400:
                _raise(response.status, response.read())
            while line := response.readline():
                yield msgspec.json.decode(line)
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: bytes) -> Any:
        import http.client

        connection, response = self._open(method, path, body, self.patience_s)
        try:
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _unanswered(error) from None
        finally:
            connection.close()
        if response.status >= 400:
            _raise(response.status, content)
        return msgspec.json.decode(content)

    def _open(
        self, method: str, path: str, body: bytes, timeout: float | None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.record.port, timeout=timeout)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _unanswered(error) from None


def connect(home: Home, patience_s: float = TIMEOUT_S) -> Client | None:
    """The service of this home; None when none is running. patience_s: how long a call waits for its answer."""
    record = running(home)
    if record is None:
        return None
    try:
        return Client(record, home.token.read_text("ascii").strip(), patience_s)
    except OSError as error:
        raise ServiceError(
            f"cannot read {home.token}: {error.strerror}.", "Restart with `cdesk down`, `cdesk up`."
        ) from None


def running(home: Home) -> ServiceRecord | None:
    try:
        record = msgspec.json.decode(home.service.read_bytes(), type=ServiceRecord)
        os.kill(record.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    return record if record.pid != os.getpid() and _is_ours(record.pid) else None


def _is_ours(pid: int) -> bool:
    """After a crash the pid may be somebody else's by now; in a container, even that of who asks."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            return b"cdesk" in file.read()
    except OSError:
        return True


def _unanswered(error: Exception) -> ServiceError:
    return ServiceError(f"the service does not answer ({error}).", "Look at `cdesk doctor`.")


def _raise(status: int, content: bytes) -> None:
    try:
        message = str(msgspec.json.decode(content)["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        message = f"the service answered {status}."
    raise UsageError(message) if status in (400, 404) else CdeskError(message)
