"""A collector and its laptops, in this process: real HTTP between real homes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests import blank

from cdesk.app import App
from cdesk.config import CollectorSettings, Home, PersonSettings, QueueSettings, Settings
from cdesk.surface.http.collector_door import CollectorDoor

ADA, BOB = "ada@example.org", "bob@example.org"


def app(folder: Path, settings: Settings) -> App:
    blank.put(folder / "warehouse")
    return App(Home(folder), settings, {"HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder / "claude")})


@dataclass
class Collecting:
    app: App
    door: CollectorDoor

    def customers(self) -> list[tuple[Any, ...]]:
        """Customer, organisation and how many facts, once everything is loaded."""
        self.app.uploader.drain()
        return self.app.warehouse.query(
            "SELECT customer, _org_id, COUNT(*) FROM CLAUDE_STREAM_V2 GROUP BY 1, 2 ORDER BY 1, 2"
        ).rows


@contextmanager
def collecting(folder: Path, settings: CollectorSettings | None = None, queue: QueueSettings | None = None) -> Iterator[Collecting]:  # fmt: skip
    settings = settings or CollectorSettings(listen="127.0.0.1:0")
    made = app(folder, Settings(collector=settings, queue=queue or QueueSettings()))
    door = CollectorDoor(settings)
    door.open(made)
    try:
        yield Collecting(made, door)
    finally:
        door.close()
        made.close()


@contextmanager
def laptop(folder: Path, url: str, token: str, customer: str = ADA, ca_file: Path | None = None) -> Iterator[App]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "collector.token").write_text(token + "\n")
    wanted = CollectorSettings(url=url, ca_file=None if ca_file is None else str(ca_file))
    made = app(folder, Settings(person=PersonSettings(customer=customer), collector=wanted))
    try:
        yield made
    finally:
        made.close()


def facts(count: int, customer: str = ADA, first: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        {"activity": "note_taken", "ts": "2026-11-23T10:00:00Z", "customer": customer,
         "activity_id": f"{customer}-{number}", "feature_json": {"text": f"fact {number}"}, **more}
        for number in range(first, first + count)
    ]  # fmt: skip


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    """Of its own authority, for 127.0.0.1: the certificate, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert, private = folder / "collector.pem", folder / "collector.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    return cert, private


def said(answer: bytes) -> str:
    return str(msgspec.json.decode(answer)["error"])
