"""Whatever is wrong with cdesk, the command hook ends well, soon, and says nothing; what it writes holds no secret. It says
what the service answers, or what was kept for this folder, and only what Claude Code can read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capture.hook_recordings import PERSON, SCENARIOS, calls
from tests.shared_data import shared_data

from cdesk.capture import hook_command, install
from cdesk.capture.answer import UNSERVED
from cdesk.capture.hook import interpret
from cdesk.capture.hook_command import ALLOWED, bare
from cdesk.context.plain import PlainFiles
from cdesk.queue.refusals import Refusals

PAYLOAD = {
    "session_id": "00903cac-6cd7-4e0b-9c05-1336fab23028", "cwd": "/lab/a \"b\" \\ c", "prompt_id": "9cbbaba7",
    "hook_event_name": "SessionStart", "source": "startup", "model": "claude-opus-5-5[1m]",
}  # fmt: skip
SECRET = "sk-ant-api03-" + "Zz9" * 31
HUNG_S_MAX = 2.0
SOON_S_MAX = 5.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    found = tmp_path / "home of 'cdesk'"
    install.install_command(found)
    install.ingest_token(found)
    return found


def run(home: Path, stdin: bytes = json.dumps(PAYLOAD).encode()) -> float:
    """Runs the installed command line as Claude Code does; how long it took. It must end well and say nothing."""
    started = time.monotonic()
    assert said(home, stdin) == b""
    return time.monotonic() - started


def said(home: Path, stdin: bytes = json.dumps(PAYLOAD).encode()) -> bytes:
    """What it prints. It must end well."""
    done = subprocess.run(
        ["sh", "-c", install.command_line(home)], input=stdin, capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def kept(home: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted((home / "spool").glob("*.hook"))]


@contextmanager
def service(home: Path, answer: bytes | None, requests: list[bytes]) -> Iterator[None]:
    """Somebody on loopback who gives this answer, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (home / "service.json").write_text(
            json.dumps({"pid": 1, "port": port, "started_at": "now"}, separators=(",", ":"))
        )
        held: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is None:
                    continue
                got = b""
                while b"\r\n\r\n" not in got or len(got.partition(b"\r\n\r\n")[2]) < _length(got):
                    got += connection.recv(65536)
                requests.append(got)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield
        for connection in held:
            connection.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


def test_it_tells_the_service_everything(home: Path) -> None:
    """The whole payload, the token that only brings facts in, and when it was received; nothing is kept then."""
    requests: list[bytes] = []
    before = time.time_ns()
    with service(home, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", requests):
        run(home)
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert json.loads(body) == PAYLOAD
    assert b"POST /v1/hooks/claude-code HTTP/1.1" in head
    assert f"Bearer {install.ingest_token(home)}".encode() in head
    stamp = int(head.partition(b"X-Cdesk-Received-Ns: ")[2].partition(b"\r\n")[0])
    assert before <= stamp <= time.time_ns()
    assert kept(home) == []


def test_without_a_service_the_bare_facts_are_kept(home: Path) -> None:
    """One file, readable by its owner only, with the moment of receipt."""
    before = time.time_ns()
    run(home)
    (record,) = kept(home)
    assert before <= record["received_ns"] <= time.time_ns()
    assert record["payload"] == PAYLOAD
    (path,) = (home / "spool").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 401 No\r\n\r\n", b"garbage", b""])
def test_a_service_that_does_not_take_it_leaves_it_to_the_disk(home: Path, answer: bytes) -> None:
    """Only 2xx means that it has it."""
    with service(home, answer, []):
        run(home)
    assert len(kept(home)) == 1


def test_a_hung_service_costs_its_patience_and_no_more(home: Path) -> None:
    """It accepts and never answers."""
    with service(home, None, []):
        assert run(home) < HUNG_S_MAX
    assert len(kept(home)) == 1


def test_a_dead_service_leaves_its_record_behind(home: Path) -> None:
    """After kill -9 the file still names a port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (home / "service.json").write_text(json.dumps({"pid": 1, "port": port, "started_at": "now"}))
    run(home)
    assert len(kept(home)) == 1


@pytest.mark.parametrize(
    "record", [b"", b"{}", b"\xff\xfe", b'{"port":99999999999}', b'{"port":-1}', b'{"pid":1,"port":"x"}']
)
def test_a_damaged_record_is_no_service(home: Path, record: bytes) -> None:
    """Whatever stands in service.json."""
    (home / "service.json").write_bytes(record)
    run(home)
    assert len(kept(home)) == 1


def test_a_lost_token_is_no_service(home: Path) -> None:
    """Nothing to say who we are with."""
    (home / "ingest-token").unlink()
    with service(home, b"HTTP/1.1 200 OK\r\n\r\n", []):
        run(home)
    assert len(kept(home)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_borne(home: Path) -> None:
    """Nothing is kept, and nobody notices."""
    home.chmod(0o500)
    try:
        run(home)
    finally:
        home.chmod(0o700)


def test_a_spool_that_is_no_folder_is_borne(home: Path) -> None:
    """The same, for every user."""
    (home / "spool").write_text("in the way")
    run(home)


def test_a_full_disk_is_borne(home: Path) -> None:
    """No byte can be written: the file stays empty and is no event."""
    command = f"ulimit -f 0; {install.command_line(home)}"
    done = subprocess.run(
        ["sh", "-c", command], input=json.dumps(PAYLOAD).encode(), capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [path.read_bytes() for path in (home / "spool").glob("*.hook")] in ([], [b""])


def test_a_lost_home_is_borne(home: Path) -> None:
    """Python would end with 2 where its program is missing, and Claude Code takes 2 for a veto."""
    shutil.rmtree(home)
    run(home)
    assert not home.exists()


def test_a_lost_interpreter_is_borne(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment was deleted, the settings still name it."""
    monkeypatch.setattr(sys, "executable", str(home / "gone" / "python"))
    run(home)


def test_bytecode_of_another_python_is_borne(home: Path) -> None:
    """After an upgrade in place, until the next `cdesk connect`."""
    program = home / install.COMMAND_FILE
    program.write_bytes(b"\0\0\0\0" + program.read_bytes()[4:])
    run(home)


@pytest.mark.parametrize(
    "stdin", [b"", b"garbage", b"\xff" * 1000, b"{", b'{"session_id":', b'"' * 99_999, b"[" * 99_999, b"{}"]
)
def test_garbage_is_passed_over(home: Path, stdin: bytes) -> None:
    """No event, no file."""
    run(home, stdin)
    assert kept(home) == []


def test_a_reader_that_never_ends_is_left(home: Path) -> None:
    """Standard input stays open: the hook ends by itself."""
    started = time.monotonic()
    child = subprocess.Popen(["sh", "-c", install.command_line(home)], stdin=subprocess.PIPE)
    assert child.wait(timeout=20) == 0
    assert time.monotonic() - started < SOON_S_MAX
    assert child.stdin
    child.stdin.close()


def test_a_spool_nobody_empties_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's own size grows with its entries. What is not kept is counted."""
    refusals = Refusals(home / "refused")
    (home / "spool").mkdir(mode=0o700)
    monkeypatch.setattr(hook_command, "SPOOL_FOLDER_BYTES_MAX", -1)
    hook_command.keep(os.fsencode(home), json.dumps(PAYLOAD).encode(), 1)
    assert kept(home) == []
    assert refusals.read()["hook"].refused == 1


def test_it_imports_nothing_that_is_not_compiled_in() -> None:
    """`posix`, `time`, `sys`, `_signal` and `_socket`: no json, no argparse, no os."""
    program = f"import sys; sys.path[:0] = [{str(Path(hook_command.__file__).parent)!r}]; import hook_command; print(*sys.modules)"
    asked = [sys.executable, "-I", "-S", "-c", program]
    bare_python = [sys.executable, "-I", "-S", "-c", "import sys; print(*sys.modules)"]
    ours, theirs = (set(subprocess.check_output(command, text=True).split()) for command in (asked, bare_python))
    assert ours - theirs <= {"hook_command", "_socket", "_signal", "posix", "time", "sys"}


def test_it_works_from_its_source_as_well(tmp_path: Path) -> None:
    """As `__main__`, with its home two folders up."""
    (tmp_path / "hook").mkdir()
    shutil.copy(hook_command.__file__, tmp_path / "hook" / "claude_code.py")
    program = [sys.executable, "-I", "-S", str(tmp_path / "hook" / "claude_code.py")]
    subprocess.run(program, input=json.dumps(PAYLOAD).encode(), check=True)
    assert kept(tmp_path)[0]["payload"] == PAYLOAD


# -- what it says --------------------------------------------------------------------------------------------------

TOLD = '{"hookSpecificOutput":{"hookEventName":"SessionStart","additionalContext":"Über „shop“ 😀"}}'.encode()
BEGUN = {"hook_event_name": "SessionStart", "session_id": "s-1", "cwd": "/work/a shop/ü", "source": "startup"}
HOUR_NS = 3_600 * 10**9


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def test_it_says_what_the_service_answers(home: Path) -> None:
    """Byte for byte; and shows that it may hear it."""
    requests: list[bytes] = []
    token = install.answer_token(home)
    with service(home, answer(TOLD), requests):
        assert said(home) == TOLD
    assert f"\r\nX-Cdesk-Answer: {token}\r\n".encode() in requests[0] and kept(home) == []


@pytest.mark.parametrize("body", [
    b"", b"{}", b"hello", TOLD[:-1], TOLD[1:], b'{"decision":"block","reason":"no"}', b'{"continue":false}',
    TOLD[:-3] + b"x" * hook_command.ANSWER_BYTES_MAX + b'"}}',
], ids=["nothing", "empty", "words", "cut", "beheaded", "a block", "a stop", "too much"])  # fmt: skip
def test_what_is_not_a_context_is_not_said(home: Path, body: bytes) -> None:
    """Whoever answers on that port, Claude is neither stopped nor confused; the payload is taken all the same."""
    with service(home, answer(body), []):
        assert said(home) == b""
    assert kept(home) == []


@pytest.mark.parametrize("reply", [
    answer(TOLD, b"503 No"), answer(TOLD)[:-5], answer(TOLD).replace(b"Content-Length", b"Content-Size"),
    answer(TOLD).replace(b"Content-Length: ", b"Content-Length: -"), b"HTTP/1.1 200 OK\r\n",
], ids=["refused", "cut", "no length", "a negative length", "half a head"])  # fmt: skip
def test_half_an_answer_is_not_said(home: Path, reply: bytes) -> None:
    """Nothing is better than a part."""
    with service(home, reply, []):
        assert said(home) == b""


def keep_plain(home: Path, age_ns: int, project: str = str(BEGUN["cwd"])) -> None:
    text = UNSERVED + 'Known here: "make" fails @AGE@.'
    output = {"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": text}}
    built_at = (time.time_ns() - age_ns) / 1e9
    PlainFiles(home / "context" / "plain").keep(project, "v7-a_b", built_at, msgspec.json.encode(output))


@pytest.mark.parametrize(("age_ns", "told"), [
    (0, "less than a minute"), (90 * 10**9, "1 minute"), (5 * HOUR_NS, "5 hours"), (50 * HOUR_NS, "2 days"),
    (-HOUR_NS, "less than a minute"),
])  # fmt: skip
def test_without_a_service_it_says_what_was_kept_for_this_folder(home: Path, age_ns: int, told: str) -> None:
    """With its age; and keeps which version it said, so that the service knows it later."""
    keep_plain(home, age_ns)
    given = json.loads(said(home, msgspec.json.encode(BEGUN)))["hookSpecificOutput"]["additionalContext"]
    assert given == UNSERVED.replace("@AGE@", told) + 'Known here: "make" fails @AGE@.'
    (record,) = kept(home)
    assert record["context"] == "v7-a_b" and record["payload"] == BEGUN


@pytest.mark.parametrize("payload", [
    {**BEGUN, "source": "resume"}, {**BEGUN, "cwd": "/work/a-shop/ü"}, {**BEGUN, "cwd": "/elsewhere"},
    {**BEGUN, "cwd": ""}, {**BEGUN, "hook_event_name": "UserPromptSubmit"}, {**BEGUN, "hook_event_name": "SessionEnd"},
])  # fmt: skip
def test_what_was_kept_is_said_only_to_a_new_conversation_in_this_folder(home: Path, payload: dict[str, Any]) -> None:
    """One that is taken up again may hold it; a folder whose name only looks alike is another."""
    keep_plain(home, HOUR_NS)
    assert said(home, msgspec.json.encode(payload)) == b""
    assert all("context" not in record for record in kept(home))


def test_what_was_kept_long_ago_is_not_said(home: Path) -> None:
    """After a week it says more about then than about now."""
    keep_plain(home, 8 * 24 * HOUR_NS)
    assert said(home, msgspec.json.encode(BEGUN)) == b""


@pytest.mark.parametrize("damage", [b"", b"\n\n\n\n", b"\x00" * 100, b'"/work/a shop/\xc3\xbc"\nv7\nsoon\n{}\n'])
def test_a_damaged_plain_file_is_not_said(home: Path, damage: bytes) -> None:
    """The facts are kept all the same."""
    keep_plain(home, HOUR_NS)
    (path,) = (home / "context" / "plain").iterdir()
    path.write_bytes(damage)
    assert said(home, msgspec.json.encode(BEGUN)) == b"" and len(kept(home)) == 1


def test_what_cannot_be_recorded_is_not_said(home: Path) -> None:
    """Nobody would know later what Claude was told."""
    keep_plain(home, HOUR_NS)
    (home / "spool").write_text("a file")
    assert said(home, msgspec.json.encode(BEGUN)) == b""


def test_a_long_folder_is_found_by_the_end_of_its_name(home: Path) -> None:
    """A file name has 255 bytes."""
    long = "/work/" + "ä/b" * 300
    keep_plain(home, HOUR_NS, long)
    assert b"1 hour ago" in said(home, msgspec.json.encode({**BEGUN, "cwd": long}))


# -- what it keeps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_recorded_payload_keeps_what_names_its_facts(scenario: str) -> None:
    """The bare payload is one of the same event, and its facts are facts of the whole one, by id."""
    for _, payload in calls(scenario):
        raw = json.dumps(payload).encode()
        short = json.loads(bare(raw))
        assert short.items() <= payload.items()
        assert short["hook_event_name"] == payload["hook_event_name"] and short.get("cwd") == payload["cwd"]
        received = datetime(2026, 1, 1, tzinfo=UTC)
        full = {fact.activity_id for fact in interpret(raw, received, PERSON)}
        assert {fact.activity_id for fact in interpret(bare(raw), received, PERSON)} <= full


def test_a_session_start_loses_nothing() -> None:
    """The event that has to be a command is whole even when the service is down."""
    for _, payload in [call for scenario in SCENARIOS for call in calls(scenario)]:
        if payload["hook_event_name"] == "SessionStart":
            received = datetime(2026, 1, 1, tzinfo=UTC)
            raw = json.dumps(payload).encode()
            assert interpret(bare(raw), received, PERSON) == interpret(raw, received, PERSON)


def test_words_are_never_kept() -> None:
    """A secret anywhere but in the working folder's own name does not reach the disk."""
    folder = shared_data("recordings/hook_payloads")
    for path in sorted(folder.glob("*.json")):
        payload = json.loads(path.read_text())["payload"]
        for name in payload:
            if name in ("cwd", "hook_event_name"):
                continue
            for secret in (
                f"{SECRET} ",
                {"password": SECRET, "session_id": SECRET},
                [SECRET],
                f'x\\" "session_id":"{SECRET}"',
            ):
                assert SECRET.encode() not in bare(json.dumps({**payload, name: secret}).encode()), (path.stem, name)


def test_only_allowed_names_are_kept_and_free_text_is_not_among_them() -> None:
    """The list is short, and holds nothing that a person or a model writes in words."""
    words = {b"prompt", b"error", b"message", b"title", b"tool_input", b"tool_response", b"last_assistant_message",
             b"task_subject", b"task_description", b"custom_instructions", b"compact_summary", b"delta"}  # fmt: skip
    assert not words & set(ALLOWED)
    text = {name.decode(): "two words" for name in ALLOWED if name != b"cwd"}
    assert json.loads(bare(json.dumps(text).encode())) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["session_id", "cwd", "a", '"', "\\"]), inner)
    ),
    max_leaves=10,
)
NAMES = sorted(name.decode() for name in ALLOWED)


@settings(max_examples=500, deadline=None)
@given(payload=st.dictionaries(st.sampled_from([*NAMES, "tool_input", '"cwd":"', "\\"]) | st.text(max_size=5), JSON),
       spaced=st.booleans(), escaped=st.booleans())  # fmt: skip
def test_what_is_kept_is_always_a_part_of_what_was_told(payload: dict[str, Any], spaced: bool, escaped: bool) -> None:
    """Any JSON object: the bare facts are JSON, and each stands in the outermost object as it is."""
    raw = json.dumps(payload, ensure_ascii=escaped, indent=1 if spaced else None).encode()
    found = json.loads(bare(raw))
    assert found.items() <= payload.items()
    allowed = {name: value for name, value in payload.items() if name.encode() in ALLOWED and isinstance(value, str)}
    assert set(found) >= {name for name, value in allowed.items() if name == "cwd" and len(value) < 300}


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_survived(raw: bytes) -> None:
    """Nothing is decoded, so nothing can fail to decode."""
    assert bare(raw).startswith(b"{")
