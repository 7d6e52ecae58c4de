"""The command hook: tells the service what Claude Code told it, or keeps the bare facts on disk when there is none.

It starts hundreds of times a day between a person and their work, so it imports nothing but what is compiled into
the interpreter (and `_socket`), and runs as bytecode under `python -I -S`: about as fast as `-c pass`. It always ends
with exit code 0, and takes no longer than PATIENCE_S when the service hangs, LIFE_S whatever happens. It prints what
the service answers, which is nothing unless there is something to tell Claude; when a session begins and no service
answers, what the service kept for this folder (`context/plain.py`), with its age. In any doubt it prints nothing.

`cdesk connect` installs it as `$CDESK_HOME/hook/claude_code.pyc`; so it finds its home beside itself.

The service redacts before it writes. This program cannot (the rules take longer to load than it may live), so what it
writes itself is what can hold no secret: ids, names, numbers and the working folder, each of them checked to be one.
The words are left to the transcript. `spool.py` picks the files up, and says how they look.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import posix
import sys
import time

PATIENCE_S = 0.3
LIFE_S = 2.0
STDIN_BYTES_MAX = 64 * 1024 * 1024
SPOOL_FOLDER_BYTES_MAX = 4 * 1024 * 1024
"""A folder's own size grows with its entries: about 100,000 waiting events."""
ANSWER_BYTES_MAX = 48 * 1024
"""Fits into a pipe that nobody reads, so printing never waits; the same as `context/plain.py` keeps at most."""
AGE_S_MAX = 7 * 86_400

DIGITS = b"0123456789"
LOWER = b"abcdefghijklmnopqrstuvwxyz"
WORD = DIGITS + LOWER + LOWER.upper() + b"_-"
NAME = WORD + b".:@/[]"
ALLOWED = {
    **dict.fromkeys((b"session_id", b"prompt_id", b"tool_use_id", b"agent_id", b"task_id", b"test_id"), (WORD, 80)),
    **dict.fromkeys((b"hook_event_name", b"tool_name", b"agent_type", b"model", b"from_model", b"to_model"), (NAME, 128)),
    **dict.fromkeys((b"teammate_name", b"mcp_server_name"), (NAME, 80)),
    **dict.fromkeys((b"permission_mode", b"source", b"trigger", b"notification_type"), (LOWER + LOWER.upper() + b"_", 40)),
    **dict.fromkeys((b"memory_type", b"load_reason", b"mode", b"action", b"reason"), (LOWER + LOWER.upper() + b"_", 40)),
    **dict.fromkeys((b"duration_ms", b"context_tokens", b"seconds_since_last_response"), (DIGITS + b".", 24)),
    **dict.fromkeys((b"is_interrupt", b"stop_hook_active"), (LOWER, 5)),
    b"cwd": (b"", 4096),
}  # fmt: skip


def main() -> None:
    try:
        _signal.signal(_signal.SIGALRM, lambda number, frame: posix._exit(0))
        _signal.setitimer(_signal.ITIMER_REAL, LIFE_S)
        received = time.time_ns()
        payload = heard()
        home = sys.argv[0].rpartition("/")[0].rpartition("/")[0].encode("utf-8", "surrogateescape")
        try:
            answer = told(home, payload, received)
        except Exception:
            answer = None
        say(keep(home, payload, received) if answer is None else answer)
    except BaseException:  # noqa: S110 - whatever is wrong with us, Claude Code goes on
        pass
    posix._exit(0)


def heard() -> bytes:
    parts = []
    left = STDIN_BYTES_MAX
    while left > 0:
        part = posix.read(0, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def told(home: bytes, payload: bytes, received: int) -> bytes | None:
    """What there is to say, mostly nothing; None unless the service has the payload, durably."""
    record = contents(home + b"/service.json")
    port = int(record.partition(b'"port":')[2].partition(b",")[0].strip(b" }\n"))
    token = contents(home + b"/ingest-token").strip()
    deadline = time.monotonic() + PATIENCE_S
    service = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    service.settimeout(PATIENCE_S)
    service.connect(("127.0.0.1", port))
    service.settimeout(max(deadline - time.monotonic(), 0.001))
    service.sendall(
        b"POST /v1/hooks/claude-code HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer %b\r\nX-Cdesk-Received-Ns: %d\r\n%b"
        b"Content-Length: %d\r\n\r\n%b" % (token, received, proof(home), len(payload), payload)
    )
    service.settimeout(max(deadline - time.monotonic(), 0.001))
    reply = service.recv(ANSWER_BYTES_MAX)
    if reply[9:10] != b"2":
        return None
    try:
        return answered(service, reply, deadline)
    except Exception:
        return b""


def proof(home: bytes) -> bytes:
    """Who can read this token may hear what Claude is told; it stands in no settings (`install.py`)."""
    try:
        return b"X-Cdesk-Answer: %b\r\n" % contents(home + b"/answer-token").strip()
    except OSError:
        return b""


def answered(service: _socket.socket, reply: bytes, deadline: float) -> bytes:
    """The whole body of the reply."""
    while True:
        head, end, body = reply.partition(b"\r\n\r\n")
        if end:
            size = int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            if len(body) >= size:
                return body[:size]
        service.settimeout(max(deadline - time.monotonic(), 0.001))
        part = service.recv(ANSWER_BYTES_MAX)
        if not part or len(reply) > ANSWER_BYTES_MAX:
            return b""
        reply += part


def say(answer: bytes) -> None:
    is_whole = answer.startswith(b'{"hookSpecificOutput":{') and answer.endswith(b"}}")
    if is_whole and len(answer) <= ANSWER_BYTES_MAX:
        posix.write(1, answer)


def contents(path: bytes, most: int = 4096) -> bytes:
    handle = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    found = posix.read(handle, most)
    posix.close(handle)
    return found


def keep(home: bytes, payload: bytes, received: int) -> bytes:
    """The bare facts in a file of their own, durable when this returns; gives back what there is to say without a
    service. Only what is kept as said is said."""
    facts = bare(payload)
    if b'"hook_event_name":' not in facts:
        return b""
    try:
        version, answer = last_context(home, facts, received)
    except Exception:
        version = answer = b""
    try:
        write(home + b"/spool", facts, received, version)
        return answer
    except OSError:
        count_refused(home)
        return b""


def last_context(home: bytes, facts: bytes, received: int) -> tuple[bytes, bytes]:
    """Version and text of the context kept for this folder, when a conversation begins that has not heard it."""
    if b'"hook_event_name":"SessionStart"' not in facts or b'"source":"resume"' in facts:
        return b"", b""
    project = facts.partition(b'"cwd":"')[2].partition(b'"')[0]
    letters = LOWER + LOWER.upper() + DIGITS
    name = project.translate(bytes(byte if byte in letters else 45 for byte in range(256)))[-200:]
    kept = contents(home + b"/context/plain/" + name, ANSWER_BYTES_MAX + 1)
    known, version, built, answer = kept.split(b"\n", 3)
    age_s = max(0, (received - int(built)) // 1_000_000_000)
    if known != b'"%b"' % project or version.translate(None, WORD) or age_s > AGE_S_MAX:
        return b"", b""
    return version, answer.rstrip(b"\n").replace(b"@AGE@", words(age_s), 1)


def words(age_s: int) -> bytes:
    for seconds, unit in ((86_400, b"day"), (3_600, b"hour"), (60, b"minute")):
        if age_s >= seconds:
            count = age_s // seconds
            return b"%d %b%b" % (count, unit, b"s" if count > 1 else b"")
    return b"less than a minute"


def write(folder: bytes, facts: bytes, received: int, version: bytes = b"") -> None:
    name = b"%b/%020d-%d.hook" % (folder, received, posix.getpid())
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        if posix.stat(folder).st_size > SPOOL_FOLDER_BYTES_MAX:
            raise OSError
        handle = posix.open(name, flags, 0o600)
    except FileNotFoundError:
        posix.mkdir(folder, 0o700)
        handle = posix.open(name, flags, 0o600)
    context = b'"context":"%b",' % version if version else b""
    line = b'{"received_ns":%d,%b"payload":%b}\n' % (received, context, facts)
    try:
        if posix.write(handle, line) < len(line):
            raise OSError
        posix.fsync(handle)
    except OSError:
        posix.unlink(name)
        raise
    entry = posix.open(folder, posix.O_RDONLY | posix.O_CLOEXEC)
    posix.fsync(entry)


def count_refused(home: bytes) -> None:
    """One more that nobody keeps; twenty digits overwritten in place, which a full disk takes (`queue/refusals.py`)."""
    handle = posix.open(home + b"/refused", posix.O_RDWR | posix.O_CLOEXEC)
    posix.lockf(handle, posix.F_LOCK, 0)
    posix.pwrite(handle, b"%020d" % (int(posix.pread(handle, 20, 5)) + 1), 5)


def bare(payload: bytes) -> bytes:
    """The allowed members of the payload's outermost object, as JSON. Nothing is decoded: a value is copied as it
    stands once its every byte is of the kind expected under that name."""
    flat = payload.replace(b"\\\\", b"__").replace(b'\\"', b"__")  # now a quote is always the end of a text
    kept = []
    depth = at = 0
    name = key = b""
    for number, part in enumerate(flat.split(b'"')):
        if number & 1:  # within quotes
            if depth == 1 and key:
                value = payload[at : at + len(part)]
                if fits(key, value):
                    kept.append(b'"%b":"%b"' % (key, value))
                key = b""
            elif depth == 1:
                name = part
        else:
            if name:
                after = part.strip()
                if after == b":":
                    key = name
                elif after[:1] == b":" and name in ALLOWED and name != b"cwd":
                    value = after[1:].partition(b",")[0].strip(b" \t\r\n}")
                    if value and (value in (b"true", b"false") or not value.translate(None, DIGITS + b".")):
                        kept.append(b'"%b":%b' % (name, value))
                name = b""
            depth += part.count(b"{") + part.count(b"[") - part.count(b"}") - part.count(b"]")
        at += len(part) + 1
    return b"{" + b",".join(kept) + b"}"


def fits(key: bytes, value: bytes) -> bool:
    if key not in ALLOWED:
        return False
    letters, most = ALLOWED[key]
    return len(value) <= most and (key == b"cwd" or not value.translate(None, letters))


if __name__ == "__main__":
    main()
