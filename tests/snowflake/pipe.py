"""A local Snowpipe Streaming endpoint over TLS: what the official SDK asks of Snowflake, answered on loopback.

It keeps what makes exactly once possible, and nothing else: a channel has a committed token and a continuation token; who opens
it takes it from whoever had it; a request whose continuation is not the next one is refused; rows and token move together.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb

_CHANNEL = re.compile(r"/v2/streaming(?:/data)?/databases/[^/]+/schemas/[^/]+/pipes/[^/]+/channels/([^/:]+)(/rows)?$")


@dataclass
class Channel:
    opened: int = 0
    requests: int = 0
    token: str | None = None

    @property
    def continuation(self) -> str:
        return f"{self.opened}_{self.requests}"


@dataclass
class Pipe:
    """bodies: what was committed, as it came · opens: which token each opening was told · fail: what the next requests with
    rows meet: an HTTP status, or "cut" for a connection that is lost after the commit"""

    port: int
    channels: dict[str, Channel] = field(default_factory=dict)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    opens: list[str | None] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    fail: list[int | str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drop(self) -> None:
        """Every channel is gone, as when the pipe is made anew."""
        with self.lock:
            self.channels.clear()

    def rows(self, folder: Path) -> list[dict[str, Any]]:
        """Everything that was committed, in order."""
        found: list[dict[str, Any]] = []
        for encoding, body in self.bodies:
            found += [json.loads(line) for line in _plain(encoding, body, folder).splitlines() if line.strip()]
        return found


def _plain(encoding: str, body: bytes, folder: Path) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding != "zstd":
        return body
    path = folder / "body.ndjson.zst"
    path.write_bytes(body)
    lines = duckdb.execute(f"SELECT json FROM read_ndjson_objects('{path}', compression = 'zstd')").fetchall()
    return "\n".join(line for (line,) in lines).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pipe: Pipe

    def _answer(self) -> None:
        url, body = urlsplit(self.path), self._body()
        asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        status, said = self._said(url.path, asked, body)
        if status == 0:
            self.close_connection = True
            return
        data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(said, str) else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _said(self, path: str, asked: dict[str, str], body: bytes) -> tuple[int, Any]:
        pipe = self.pipe
        if path == "/v2/streaming/hostname":
            return 200, "127.0.0.1"
        if path == "/oauth/token":
            return 200, _jwt()
        if path.startswith("/telemetry"):
            return 200, {"data": {}, "success": True}
        if path.endswith(":pipe-info"):
            return 200, _pipe_info(pipe.port)
        with pipe.lock:
            if path.endswith(":bulk-channel-status"):
                names = json.loads(body)["channel_names"]
                return 200, {"channel_statuses": {name: _status(pipe, name) for name in names if name in pipe.channels}}
            if found := _CHANNEL.match(path):
                return self._channel(unquote(found[1]), bool(found[2]), asked, body)
        return 404, {"code": "NOT_FOUND", "message": path}

    def _channel(self, name: str, has_rows: bool, asked: dict[str, str], body: bytes) -> tuple[int, Any]:
        pipe = self.pipe
        if self.command == "PUT":
            channel = pipe.channels.setdefault(name, Channel())
            channel.opened, channel.requests = channel.opened + 1, 0
            pipe.opens.append(channel.token)
            return 200, {"next_continuation_token": channel.continuation, "channel_status": _status(pipe, name)}
        if name not in pipe.channels:
            return 404, {"code": "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED", "message": name}
        if self.command == "DELETE":
            del pipe.channels[name]
            return 200, {}
        if not has_rows:
            return 404, {"code": "NOT_FOUND", "message": self.path}
        channel, wrong = pipe.channels[name], pipe.fail.pop(0) if pipe.fail else None
        if isinstance(wrong, int):
            return wrong, {"code": "SERVER_ERROR", "message": "as the test wants it"}
        if asked.get("continuationToken") != channel.continuation:
            pipe.refusals.append(name)
            return 400, {"code": "STALE_CONTINUATION_TOKEN_SEQUENCER", "message": "stale continuation token"}
        channel.requests += 1
        channel.token = asked.get("endOffsetToken") or asked.get("offsetToken")
        pipe.bodies.append((self.headers.get("content-encoding", ""), body))
        return (0, "") if wrong == "cut" else (200, {"next_continuation_token": channel.continuation})


def _status(pipe: Pipe, name: str) -> dict[str, Any]:
    now = int(time.time() * 1000)
    return {
        "channel_status_code": "SUCCESS", "last_committed_offset_token": pipe.channels[name].token,
        "database_name": "CDESK", "schema_name": "ACTIVITY", "pipe_name": "CLAUDE_STREAMED-STREAMING", "channel_name": name,
        "rows_inserted": 0, "rows_parsed": 0, "rows_errors": 0, "rows_error_count": 0, "created_on_ms": now,
        "last_error_offset_upper_bound": None, "last_error_message": None, "last_error_timestamp": None,
        "snowflake_avg_processing_latency_ms": 1,
    }  # fmt: skip


def _pipe_info(port: int) -> dict[str, Any]:
    """Files are not served: batches are small enough to go without."""

    def stage(prefix: str) -> dict[str, Any]:
        return {
            "expiry_time_ms": int(time.time() * 1000) + 3_600_000, "location_type": "S3", "location": f"none/{prefix}",
            "use_s3_regional_url": False, "region": "us-east-1", "end_point": f"127.0.0.1:{port}",
            "endpoint": f"127.0.0.1:{port}", "storage_account": None, "bucket_name": "none", "path_prefix": prefix,
            "volume_hash": "", "creds": {
                "AWS_KEY_ID": "none", "AWS_SECRET_KEY": "none", "AWS_TOKEN": "", "AZURE_SAS_TOKEN": None,
                "GCS_ACCESS_TOKEN": None, "GCS_SERVICE_ACCOUNT_KEY_BASE64": None,
            },
        }  # fmt: skip

    return {
        "rowset_stage_location": stage("rowset/"), "durable_stage_location": stage("durable/"),
        "encryption_info": {
            "pipe_key": base64.b64encode(b"k" * 32).decode(), "pipe_key_id": 1,
            "diversifier": base64.b64encode(b"d" * 16).decode(),
        },
        "parameter_overrides": {},
    }  # fmt: skip


def _jwt() -> str:
    now = int(time.time())
    parts = {"typ": "JWT", "alg": "HS256"}, {"iss": "x", "sub": "u", "iat": now, "exp": now + 3600, "scope": "s"}
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return ".".join((*encoded, "c2ln"))


@dataclass(frozen=True)
class Signed:
    """An authority of this test's own, what it signed, and a key pair to sign in with."""

    authority: Path
    certificate: Path
    certificate_key: Path
    user_key: Path


def signed(folder: Path) -> Signed:
    made = Signed(folder / "ca.crt", folder / "server.crt", folder / "server.key", folder / "user.p8")
    ca_key = str(folder / "ca.key")
    _openssl("-subj", "/CN=a test", "-keyout", ca_key, "-out", str(made.authority))
    _openssl(
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
        "-CA", str(made.authority), "-CAkey", ca_key, "-keyout", str(made.certificate_key), "-out", str(made.certificate),
    )  # fmt: skip
    key = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(made.user_key)]
    subprocess.run(key, check=True, capture_output=True)
    made.user_key.chmod(0o600)
    return made


def _openssl(*options: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *options]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def served(files: Signed) -> Iterator[Pipe]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    pipe = Pipe(server.server_address[1])
    handler.pipe = pipe  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.certificate_key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield pipe
    finally:
        server.shutdown()
        server.server_close()
