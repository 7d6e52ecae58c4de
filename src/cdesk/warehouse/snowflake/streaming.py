"""One channel of Snowpipe Streaming: rows go to Snowflake without a warehouse, and Snowflake says how far it has them.

    rows + token ──append──▶ SDK ──HTTPS──▶ pipe of CLAUDE_STREAMED ──▶ the table, and the channel's committed token

Each batch ends with an offset token, which Snowflake keeps beside the rows and moves in the same commit. Whoever opens the
channel is told the last one, and goes on behind it: rows are there once, wherever their sender died.

Limits, Snowflake's: 12 MB/s and 10 requests a second for a channel, 4 MB a request, 2,000 channels for a pipe. A batch is small
enough for one request: a burst would make the SDK write files to cloud storage instead. The SDK looks for commits once a
second, so several batches may be under way.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from cdesk.config import SnowflakeSettings
from cdesk.errors import ConfigError, WarehouseUnready

TABLE = "CLAUDE_STREAMED"
ROWS_MAX = 2_000
BYTES_MAX = 512 * 1024
"""Of queue lines for one batch; compressed, a request stays far below Snowflake's limit."""
COMMIT_SECONDS_MAX = 120.0
FLUSH_SECONDS_MAX = 60
LOOK_SECONDS, LOOK_SECONDS_MAX = 0.02, 1.0
"""How soon a commit is first looked for; then more and more seldom."""

_PATIENCE = {"mgmt_retry_total_backoff_seconds": "30", "data_retry_total_backoff_seconds": "30"}
"""How long the SDK tries again by itself; then the queue waits."""
_REOPEN = frozenset({
    "ClosedChannelError", "ClosedClientError", "ChannelClosedByUser", "InvalidChannelError", "InvalidClientError",
    "InputChannelClosed", "OutputChannelClosed", "ChannelNotFound",
})  # fmt: skip
"""The channel is gone: somebody else opened it, it was dropped, or its pipe was made anew."""
_REMEDIES: dict[str, str] = {
    "ConfigError": "See account, user and private_key_file of [snowflake] in config.toml or in your connections.toml.",
    "AuthTokenError": "The key pair is not this user's, or this machine's clock is wrong: compare `DESC USER` and `date`.",
    "SfApiAuthError": "The key pair is not this user's, or this machine's clock is wrong: compare `DESC USER` and `date`.",
    "SfApiUserError": "See that the role may INSERT into CLAUDE_STREAMED: `cdesk deploy plan --target snowflake`.",
    "SfApiNotFoundError": "CLAUDE_STREAMED is missing, or the role may not see it: `cdesk deploy apply --target snowflake`.",
    "ReceiverSaturated": "Snowflake asks to slow down.",
    "MemoryThresholdExceeded": "This machine is short of memory.",
    "MemoryThresholdExceededInContainer": "This machine is short of memory.",
}
_LATER = "Nothing is lost, it is tried again."


class ChannelLost(WarehouseUnready):
    """Opened again, it says how far Snowflake came."""


class Channel:
    """Opened when first wanted. One thread at a time; nobody else may have a channel of this name open.

    client: makes the SDK's client; given by who tests"""

    def __init__(self, settings: SnowflakeSettings, name: str, *, client: Callable[[], Any] | None = None) -> None:
        self.name = name
        self._make_client = client or (lambda: _client(settings, name))
        self._client: Any = None
        self._channel: Any = None
        self._refused = 0  # rows, since the channel was made, as Snowflake counts

    @property
    def is_open(self) -> bool:
        return self._channel is not None

    def open(self) -> str | None:
        """The token that Snowflake has committed last; None when it has none. Raises WarehouseUnready and ConfigError."""
        with self._translated("open the channel"):
            self._client = self._client or self._make_client()
            self._channel, status = self._client.open_channel(self.name)
            self._refused = int(status.rows_error_count)
            token: str | None = status.latest_committed_offset_token
            return token

    def send(self, rows: Sequence[Mapping[str, object]], token: str) -> None:
        """Returns when Snowflake has received them; committed they are when `confirm` says so. Raises WarehouseUnready."""
        with self._translated("send rows"):
            self._channel.append_rows(list(rows), token, token)
            self._channel.wait_for_flush(FLUSH_SECONDS_MAX)

    def confirm(self, token: str) -> int:
        """Waits until everything up to this token is committed; how many rows the pipe refused since the last time.
        Raises WarehouseUnready; then `open` says how far it came."""
        with self._translated("commit rows"):
            status = self._committed(token)
            before, self._refused = self._refused, int(status.rows_error_count)
            return max(self._refused - before, 0)

    def close(self) -> None:
        """What was sent and not yet committed is told again by who opens the channel next."""
        client, self._client, self._channel = self._client, None, None
        if client is not None:
            with suppress(Exception):  # what is lost needs no goodbye
                client.close(wait_for_flush=False, timeout_seconds=1)

    def _committed(self, token: str) -> Any:
        until, wait = time.monotonic() + COMMIT_SECONDS_MAX, LOOK_SECONDS
        while True:
            status = self._channel.get_channel_status()
            if status.latest_committed_offset_token == token:
                return status
            if status.status_code != "SUCCESS":
                raise ChannelLost(f"Snowflake says {status.status_code} of the channel {self.name}.", _LATER)
            if time.monotonic() >= until:
                raise TimeoutError(f"no commit within {COMMIT_SECONDS_MAX:g} s")
            time.sleep(wait)
            wait = min(wait * 1.5, LOOK_SECONDS_MAX)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        """Whatever went wrong, the channel is closed: only Snowflake knows how far it came."""
        errors = _sdk_errors()
        try:
            yield
        except errors.StreamingIngestError as error:
            self.close()
            raise _failed(doing, error.error_code.value, str(error.message)) from error
        except TimeoutError as error:
            self.close()
            raise WarehouseUnready(f"Snowpipe Streaming did not {doing} in time: {error}.", _LATER) from error
        except (RuntimeError, OSError) as error:
            self.close()
            raise _failed(doing, "", str(error) or type(error).__name__) from error
        except BaseException:
            self.close()
            raise


def _failed(doing: str, code: str, said: str) -> WarehouseUnready:
    line = next((line.strip() for line in said.splitlines() if line.strip()), code).rstrip(".")
    advice = _REMEDIES.get(code, "See that Snowflake can be reached.")
    kind = ChannelLost if code in _REOPEN else WarehouseUnready
    return kind(f"Snowpipe Streaming could not {doing}: {line}.", f"{advice} {_LATER}")


def name(host: str, home: Path, shard: int = 0) -> str:
    """Of the channel: two homes of one machine must not take each other's."""
    return f"{host}_{sha256(str(home.resolve()).encode()).hexdigest()[:8]}_{shard}"


def properties(settings: SnowflakeSettings) -> dict[str, str]:
    """What the SDK signs in with. Raises ConfigError: it takes a key pair and nothing else."""
    known = _connection(settings)
    given = {
        "account": settings.account or known.get("account"),
        "user": settings.user or known.get("user"),
        "role": settings.role or known.get("role"),
    }
    key = settings.private_key_file or known.get("private_key_file")
    missing = [name for name in ("account", "user") if not given[name]] + ([] if key else ["private_key_file"])
    if missing:
        raise ConfigError(
            f"Snowpipe Streaming wants {' and '.join(missing)}.",
            'Name them in [snowflake] of config.toml or in your connections.toml, or set path = "copy".',
        )
    given["private_key"] = _key(Path(str(key)).expanduser())
    given["url"] = _url(known, str(given["account"]))
    given |= {"enable_telemetry_reporting": "false", **_PATIENCE}
    return {name: str(value) for name, value in given.items() if value}


def _url(known: Mapping[str, Any], account: str) -> str:
    host = known.get("host") or f"{account.replace('_', '-').lower()}.snowflakecomputing.com"
    return f"https://{host}:{known.get('port', 443)}"


def _connection(settings: SnowflakeSettings) -> dict[str, Any]:
    if settings.connection is None:
        return {}
    path = Path(settings.connections_file or "~/.snowflake/connections.toml").expanduser()
    try:
        return dict(tomllib.loads(path.read_text("utf-8"))[settings.connection])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"cannot read the connection {settings.connection} in {path}: {error}.", "See [snowflake] in config.toml."
        ) from None


def _key(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the private key {path}: {error}.", "See [snowflake] in config.toml.") from None


def _client(settings: SnowflakeSettings, name: str) -> Any:
    """Of the table's default pipe, `CLAUDE_STREAMED-STREAMING`, which Snowflake keeps itself."""
    given = properties(settings)
    return _sdk().StreamingIngestClient.from_table(
        f"cdesk_{name}", settings.database, settings.schema, TABLE, properties=given
    )


def _sdk() -> Any:
    """Imported when something is sent: it is large. What it says goes to nobody's terminal: its errors are raised, too."""
    os.environ.setdefault("SS_LOG_LEVEL", "error")
    try:
        return import_module("snowflake.ingest.streaming")
    except ImportError:
        raise ConfigError(
            "Snowflake's streaming SDK is not installed.", "Install it: pip install 'cdesk[streaming]'."
        ) from None


def _sdk_errors() -> Any:
    _sdk()
    return import_module("snowflake.ingest.streaming.streaming_ingest_error")
