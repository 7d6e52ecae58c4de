"""Laptops send to a collector: proved on both sides, each fact once, whatever goes wrong in between."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from tests.team.collector import ADA, BOB, Collecting, certificate, collecting, facts, free_port, laptop, said

from cdesk.activity.codec import encode
from cdesk.activity.model import Activity
from cdesk.capture.collected import BODY_BYTES_MAX
from cdesk.capture.intake import activity
from cdesk.config import CollectorSettings, QueueSettings
from cdesk.errors import CdeskError, ConfigError, ServiceError, UsageError
from cdesk.governance.handshake import Invitation, invite, proof, read_token
from cdesk.surface.http.collector_door import CollectorDoor
from cdesk.upload.collector import Collector


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Collecting]:
    with collecting(tmp_path / "collector") as made:
        yield made


def invited(
    team: Collecting, name: str = ADA, *, customer: str | None = ADA, org_id: str | None = "acme"
) -> Invitation:
    return team.app.laptops.invite(name, customer=customer, org_id=org_id)


def whole(**more: object) -> Activity:
    return activity({**facts(1)[0], **more})


def test_two_laptops_send_to_one_collector(team: Collecting, tmp_path: Path) -> None:
    """In the organisation that each was invited into; told again, nothing changes."""
    for name, org_id in ((ADA, "acme"), (BOB, "beta")):
        made = invited(team, name, customer=name, org_id=org_id)
        with laptop(tmp_path / name, team.door.address, made.token, name) as sender:
            sender.intake.take(facts(30, name, _org_id="elsewhere"))
            sender.collector.drain()
            assert sender.collector.merged.inserted == 30
            assert sender.forward_depth().bytes == 0  # type: ignore[union-attr]
    assert team.customers() == [(ADA, "acme", 30), (BOB, "beta", 30)]
    heard = {one.name: (one.accepted, one.refused) for one in team.app.collected.heard()}
    assert heard == {ADA: (30, 0), BOB: (30, 0)}


def test_a_batch_whose_receipt_was_lost_is_told_again(team: Collecting, tmp_path: Path) -> None:
    """Facts are known by their ids: they are there once."""
    made = invited(team)
    with laptop(tmp_path / "ada", team.door.address, made.token) as sender:
        sender.intake.take(facts(20))
        sender.collector.drain()
        (tmp_path / "ada" / "queue" / "offsets" / "collector.json").unlink()
    with laptop(tmp_path / "ada", team.door.address, made.token) as sender:
        sender.intake.take(facts(5, first=20))
        sender.collector.drain()
    assert team.customers() == [(ADA, "acme", 25)]


def test_the_queue_holds_what_nobody_takes(tmp_path: Path) -> None:
    """Nobody answers; then somebody does. Segments stay although this laptop's own warehouse has them."""
    port = free_port()
    made = invite(ADA)
    with laptop(tmp_path / "ada", f"http://127.0.0.1:{port}", made.token) as sender:
        sender.intake.take(facts(10))
        with pytest.raises(ServiceError, match=r"cannot be reached.*The queue keeps everything"):
            sender.collector.step()
        sender.uploader.drain()
        assert sender.forward_depth().events == 10  # type: ignore[union-attr]
        with collecting(tmp_path / "collector", CollectorSettings(listen=f"127.0.0.1:{port}")) as team:
            token = team.app.laptops.invite(ADA, customer=ADA, org_id=None).token
            (tmp_path / "ada" / "collector.token").write_text(token)
            del sender.__dict__["collector"]
            sender.collector.drain()
            assert team.customers() == [(ADA, None, 10)]


def test_what_cannot_go_yet_stays_from_the_start(tmp_path: Path) -> None:
    """The invitation cannot be read: the laptop's own warehouse has everything, and its segments stay all the same."""
    with laptop(tmp_path / "ada", "http://127.0.0.1:1", "no invitation") as sender:
        sender.intake.take(facts(10))
        sender.start()
        sender.uploader.drain()
        sender.writer.rotate()
        sender.uploader.drain()
        assert sender.warehouse.count() == 10
        assert sender.forward_depth().events == 10  # type: ignore[union-attr]


def test_a_collector_that_starts_anew_knows_its_laptops(tmp_path: Path) -> None:
    """The session it does not know any more is made anew, unnoticed."""
    settings = CollectorSettings(listen=f"127.0.0.1:{free_port()}")
    with collecting(tmp_path / "collector", settings) as team:
        made, url = invited(team), team.door.address
        sender = Collector(url, made)
        sender.merge([whole()])
    with collecting(tmp_path / "collector", settings) as team:
        sender.merge([whole(activity_id="another")])
        assert team.customers() == [(ADA, "acme", 2)]
    sender.close()


@pytest.mark.parametrize("who", ["a stranger", "another's name", "revoked"])
def test_who_is_not_invited_is_refused(team: Collecting, tmp_path: Path, who: str) -> None:
    """One line that says so; nothing arrives, and nothing is set aside on the laptop."""
    made = invited(team)
    if who == "revoked":
        team.app.laptops.revoke(ADA)
    elif who == "a stranger":
        made = invite("mallory@example.org")
    else:
        made = Invitation(ADA, invite(ADA).key)
    with laptop(tmp_path / "ada", team.door.address, made.token) as sender:
        sender.intake.take(facts(3))
        wanted = "does not prove to be your collector" if who == "another's name" else "is not invited here"
        with pytest.raises(ServiceError, match=wanted):
            sender.collector.step()
        assert sender.dead.count() == 0
        assert sender.forward_depth().events == 3  # type: ignore[union-attr]
    assert team.customers() == []


def test_revoked_in_the_middle(team: Collecting) -> None:
    """From the next batch on, also within a session."""
    sender = Collector(team.door.address, invited(team))
    sender.merge([whole()])
    team.app.laptops.revoke(ADA)
    with pytest.raises(ServiceError, match="is not invited here"):
        sender.merge([whole(activity_id="another")])
    assert team.customers() == [(ADA, "acme", 1)]


def test_somebody_elses_activity_is_set_aside_alone(team: Collecting, tmp_path: Path) -> None:
    """The rest of the batch goes in."""
    made = invited(team)
    with laptop(tmp_path / "ada", team.door.address, made.token) as sender:
        sender.intake.take([*facts(4), *facts(1, BOB), *facts(4, first=4)])
        sender.collector.drain()
        assert [letter.reason for letter in sender.dead] == [
            f"the collector does not take it: line 1 cannot be taken: {ADA} sends for {ADA}, not for {BOB}."
        ]
    assert team.customers() == [(ADA, "acme", 8)]


def test_who_may_send_for_anybody_does(team: Collecting) -> None:
    sender = Collector(team.door.address, invited(team, "ci", customer=None, org_id=None))
    sender.merge([whole(), whole(activity_id="another", customer=BOB)])
    assert team.customers() == [(ADA, None, 1), (BOB, None, 1)]


def test_a_full_collector_is_waited_for(tmp_path: Path) -> None:
    """The laptop keeps what there is no room for, and sets nothing aside."""
    with collecting(tmp_path / "collector", queue=QueueSettings(bytes_max=1_048_576)) as team:
        made = invited(team)
        team.app.intake.take(facts(30, BOB, feature_json={"text": "x" * 30_000}))
        with laptop(tmp_path / "ada", team.door.address, made.token) as sender:
            sender.intake.take(facts(10, feature_json={"text": "x" * 30_000}))
            with pytest.raises(ServiceError, match=r"the collector refuses: .*full"):
                sender.collector.drain()
            assert sender.dead.count() == 0
            team.app.uploader.drain()
            sender.collector.drain()
        assert team.customers() == [(ADA, "acme", 10), (BOB, None, 30)]


class _Pretender(http.server.BaseHTTPRequestHandler):
    """Says what a collector would say, but knows no key."""

    seen: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, body))
        answer = b'{"session":"s","proof":"' + b"0" * 64 + b'"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_pretender_is_sent_nothing() -> None:
    """It hears a name and a nonce, no key and no activity."""
    _Pretender.seen.clear()
    server = http.server.HTTPServer(("127.0.0.1", 0), _Pretender)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made = invite(ADA)
    try:
        with pytest.raises(ServiceError, match="does not prove to be your collector; nothing was sent"):
            Collector(f"http://127.0.0.1:{server.server_port}", made).merge([whole()])
    finally:
        server.shutdown()
        server.server_close()
    assert [path for path, _ in _Pretender.seen] == ["/v1/collector/hello"]
    assert made.key.hex().encode() not in _Pretender.seen[0][1] and b"note_taken" not in _Pretender.seen[0][1]


def test_what_was_changed_on_the_way_is_refused(team: Collecting) -> None:
    """The proof covers each byte; so do the session, the size, and what is in it."""
    made = invited(team)
    body = gzip.compress(encode(whole()))
    torn = gzip.compress(encode(whole()).replace(b"fact 0", b"fact 1"))
    bomb = gzip.compress(b"0" * (70 * 1024 * 1024), 9)
    session = team.app.collected.hello(ADA, "n").session
    send = httpx.Client(base_url=team.door.address, timeout=30)

    def answer(sent: bytes, proved: bytes | None = None, session: str = session) -> tuple[int, str]:
        parts = (ADA.encode(), session.encode(), sent if proved is None else proved)
        headers = {"Cdesk-Laptop": ADA, "Cdesk-Session": session, "Cdesk-Proof": proof(made.key, "laptop", *parts)}
        got = send.post("/v1/collector/activities", content=sent, headers=headers)
        return got.status_code, said(got.content)

    assert answer(body, gzip.compress(b"another")) == (401, "the proof does not fit the batch. The token is not this laptop's, or somebody changed it.")  # fmt: skip
    assert answer(body, session="99999999999.x.y")[0] == 401
    assert answer(torn) == (
        422,
        "line 1 cannot be taken: the line's checksum does not match: it is torn or was altered.",
    )
    assert answer(b"no gzip")[0] == 400
    assert answer(body[:-4]) == (400, "the batch is cut off.")
    assert answer(bomb)[0] == 413
    assert send.post("/v1/collector/activities", content=b"0" * (BODY_BYTES_MAX + 1)).status_code == 413
    assert send.post("/v1/collector/hello", content=b"[]").status_code == 400
    assert send.get("/v1/status").status_code == 404, "nothing else of the service is there"
    assert send.get("/healthz").text == "ok\n"
    assert team.customers() == []


def test_secrets_are_taken_out_again(team: Collecting) -> None:
    """Whatever a laptop let through."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    Collector(team.door.address, invited(team)).merge([whole(feature_json={"text": f"token {secret}"})])
    team.customers()
    found = team.app.warehouse.query("SELECT feature_json.text::VARCHAR FROM CLAUDE_STREAM_V2").rows
    assert found and secret not in found[0][0]


def test_over_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    """Who does not trust it sends nothing."""
    cert, key = certificate(tmp_path)
    settings = CollectorSettings(listen="127.0.0.1:0", tls_cert=str(cert), tls_key=str(key))
    with collecting(tmp_path / "collector", settings) as team:
        made = invited(team)
        assert team.door.address.startswith("https://")
        with pytest.raises(ServiceError, match=r"cannot be reached: .*self.signed"):
            Collector(team.door.address, made).merge([whole()])
        Collector(team.door.address, made, ca_file=cert).merge([whole()])
        assert team.customers() == [(ADA, "acme", 1)]


@pytest.mark.parametrize(
    ("url", "why"),
    [("http://collector.example", "http:// is for this machine only"), ("collector:4610", "no collector's address"),
     ("ftp://x", "no collector's address"), ("https://x/y", "no collector's address")],
)  # fmt: skip
def test_addresses_that_are_not_sent_to(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Collector(url, invite(ADA))


@pytest.mark.parametrize(
    ("settings", "why"),
    [(CollectorSettings(listen="0.0.0.0:0"), "can be reached by others"),
     (CollectorSettings(listen="4610"), "is no address to listen at"),
     (CollectorSettings(listen="127.0.0.1:0", tls_cert="/none", tls_key="/none"), "cannot be used")],
)  # fmt: skip
def test_doors_that_are_not_opened(settings: CollectorSettings, why: str) -> None:
    with pytest.raises(CdeskError, match=why):
        CollectorDoor(settings)


def test_invitations(team: Collecting) -> None:
    """A token is shown once; the file is its owner's alone; names are not given twice."""
    made = invited(team)
    assert read_token(made.token) == made
    assert made.token not in repr(made) and made.key.hex() not in repr(team.app.laptops.find(ADA))
    assert team.app.home.laptops.stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="is invited already"):
        invited(team)
    with pytest.raises(UsageError, match="is no name for a laptop"):
        invited(team, "a b")
    team.app.laptops.revoke(ADA)
    assert made.key.hex() not in team.app.home.laptops.read_text()
    with pytest.raises(UsageError, match="is not invited"):
        team.app.laptops.revoke(ADA)
    for wrong in ("", "x", "ada.short", f"a b.{'A' * 43}"):
        with pytest.raises(ValueError, match="no invitation's token"):
            read_token(wrong)
    team.app.home.laptops.write_text("{")
    with pytest.raises(ConfigError, match="cannot read who is invited"):
        team.app.laptops.find(ADA)
