"""The address that laptops send to: a server of its own beside the service's, as that one never leaves loopback."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import uvicorn

from cdesk.app import App
from cdesk.config import CollectorSettings
from cdesk.errors import CdeskError, ConfigError, UsageError
from cdesk.surface.http import collector

START_PATIENCE_S = 10.0


class CollectorDoor:
    """Listens from the moment it is made, answers from `open` to `close`. Raises UsageError for an address that is none or
    is taken, and ConfigError for a certificate that cannot be used, or is wanted and not there."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._host, self._port = _address(settings.listen)
        self._files = _certificate(settings, self._host)
        self._listener = _listen(self._host, self._port)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        scheme = "https" if self._files else "http"
        return f"{scheme}://{self._host}:{self._listener.getsockname()[1]}"

    def open(self, app: App) -> None:
        options: dict[str, str] = {}
        if self._files is not None:
            options = {"ssl_certfile": str(self._files[0]), "ssl_keyfile": str(self._files[1])}
        self._server = uvicorn.Server(uvicorn.Config(
            collector.create(app), log_config=None, access_log=False, lifespan="off", server_header=False,
            timeout_graceful_shutdown=5, **options,  # type: ignore[arg-type]
        ))  # fmt: skip
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="cdesk-collector", daemon=True
        )
        self._thread.start()
        app.listens_at = self.address

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(START_PATIENCE_S)
        self._listener.close()


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{listen!r} is no address to listen at.", "It looks like 0.0.0.0:4610")
    return host, int(port)


def _certificate(settings: CollectorSettings, host: str) -> tuple[Path, Path] | None:
    if settings.tls_cert is None or settings.tls_key is None:
        if not _is_loopback(host):
            raise ConfigError(
                f"{host} can be reached by others, who could read along.",
                "Give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that does TLS.",
            )
        return None
    files = Path(settings.tls_cert).expanduser(), Path(settings.tls_key).expanduser()
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*files)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificate {files[0]} with the key {files[1]} cannot be used: {error}.", "Both are PEM files that belong together.") from None  # fmt: skip
    return files


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        raise CdeskError(f"{host}:{port} cannot be listened at: {error.strerror}.", "Choose another: --listen HOST:PORT.") from None  # fmt: skip
    return listener
