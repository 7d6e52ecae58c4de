"""Whatever stands in a transcript: good lines are read, bad ones set aside with a reason, and nothing is raised."""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.capture.house import PERSON, PRICES, REDACTOR, House
from tests.generated import json_values
from tests.shared_data import SHARED, shared_data

from cdesk.activity.codec import decode, encode
from cdesk.activity.identity import activity_id
from cdesk.capture.transcript import Chunk, TranscriptFile, find
from cdesk.queue import DeadLetter
from cdesk.warehouse.warehouse import STREAM

TIME = "2026-03-01T12:00:00.000Z"


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    found = House(tmp_path / "home", deployed)
    yield found
    found.close()


def prompt(text: Any, name: str = "", **others: Any) -> bytes:
    """A good line: a person's prompt."""
    return json.dumps({
        "type": "user", "uuid": name or f"uuid of {text}", "sessionId": "s", "timestamp": TIME,
        "message": {"role": "user", "content": text}, **others,
    }).encode() + b"\n"  # fmt: skip


def read(path: Path) -> Chunk:
    """All that a file says, as one piece."""
    told = Chunk()
    for chunk in TranscriptFile(path, PERSON, PRICES).read():
        told.activities += chunk.activities
        told.rejected += chunk.rejected
        told.lines += chunk.lines
        told.bytes += chunk.bytes
    return told


def between(path: Path, bad: bytes) -> Chunk:
    """What a file says that holds `bad` between two good lines; the good ones must survive."""
    path.write_bytes(prompt("before") + bad + b"\n" + prompt("after"))
    told = read(path)
    asked = [seen.feature_json["prompt_text"] for seen in told.activities if seen.activity == "user_asked"]
    assert [asked[0], asked[-1]] == ["before", "after"]
    assert all(letter.reason and letter.source == str(path) for letter in told.rejected)
    content = path.read_bytes()
    assert all(content[letter.offset :].startswith(letter.line) for letter in told.rejected)
    return told


# -- lines that are no JSON ----------------------------------------------------------------------------------------

SUITE = SHARED / "jsontestsuite" / "test_parsing"
CASES = sorted(path.name for path in SUITE.glob("*.json"))


def _is_object(line: bytes) -> bool:
    """By the standard library, made as strict as RFC 8259."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        return isinstance(json.loads(line.decode("utf-8"), parse_constant=refuse), dict)
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("name", CASES or ["missing"])
def test_a_line_of_the_json_test_suite(name: str, tmp_path: Path) -> None:
    """An object is kept, anything else set aside with its place; in the cases left to implementations, either."""
    content = shared_data(f"jsontestsuite/test_parsing/{name}").read_bytes()
    lines = [line for line in content.split(b"\n") if line.strip()]
    told = between(tmp_path / "a.jsonl", content)
    assert told.lines == len(lines) + 2
    kept = sum(seen.activity == "line_kept" for seen in told.activities)
    assert kept + len(told.rejected) >= len({*lines}), "a line vanished"
    if not name.startswith("i_"):
        assert [letter.line for letter in told.rejected] == [line for line in lines if not _is_object(line)]


def test_the_whole_json_test_suite_on_its_way_to_the_warehouse(house: House) -> None:
    """318 files of it between good lines: the good ones arrive, the dead letters are on disk with their reasons."""
    suite = [path.read_bytes() for path in sorted(shared_data("jsontestsuite/test_parsing").glob("*.json"))]
    path = house.home / "a.jsonl"
    path.write_bytes(b"".join(prompt(f"good {n}") + content + b"\n" for n, content in enumerate(suite)))
    progress = house.take_new([path])
    assert len(suite) == 318 and house.counts()["user_asked"] == 318
    letters = list(house.dead)
    assert len(letters) == progress.rejected > 200
    assert all(letter.reason and letter.source == str(path) for letter in letters)
    assert house.dead.count() == len(letters)


# -- texts ---------------------------------------------------------------------------------------------------------


def naughty() -> list[str]:
    texts: list[str] = json.loads(shared_data("naughty-strings/blns.json").read_bytes())
    return [text for text in dict.fromkeys(texts) if text]


def test_naughty_strings_arrive_byte_for_byte(house: House) -> None:
    """Typed as a prompt, through redaction, queue and warehouse, and out by SQL."""
    texts = [*naughty(), "\x00", "a\x00b", "\u2028\u2029", "\r", "\ufeff", "\U0010ffff", " ", "x" * 32_768]
    path = house.home / "a.jsonl"
    path.write_bytes(b"".join(prompt(text, f"naughty {n}") for n, text in enumerate(texts)))
    house.take_new([path])
    found = house.rows(f"SELECT activity_id, feature_json.prompt_text::VARCHAR AS text FROM {STREAM}")
    by_id = {str(row["activity_id"]): row["text"] for row in found}
    arrived = [by_id[activity_id("prompt", f"naughty {n}")] for n in range(len(texts))]
    assert [text.encode() for text in arrived] == [text.encode() for text in texts]
    assert house.dead.count() == 0 and all(REDACTOR.text(text) == text for text in texts)


def test_naughty_strings_survive_everywhere_else(house: House) -> None:
    """As a folder, a branch, a title, a tool's name, and as keys and values of what a tool was given."""
    texts = [text for text in naughty() if len(text) < 200]
    path = house.home / "a.jsonl"
    path.write_bytes(b"".join(_told_in_odd_places(n, text) for n, text in enumerate(texts)))
    house.take_new([path])
    for n, text in enumerate(texts):
        [row] = house.rows(
            f"SELECT feature_json::JSON::VARCHAR AS f FROM {STREAM} WHERE activity_id = '{activity_id('tool', f't{n}')}'"
        )
        features = json.loads(row["f"])
        assert (features["project_path"], features["git_branch"], features["tool_name"]) == (text, text, text)
        assert features["parameters"] == {text: [text, {"x": text}]}
    assert house.dead.count() == 0


def _told_in_odd_places(n: int, text: str) -> bytes:
    message = {
        "id": f"m{n}", "model": text, "role": "assistant", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "tool_use", "id": f"t{n}", "name": text, "input": {text: [text, {"x": text}]}}],
    }  # fmt: skip
    assistant = {
        "type": "assistant", "uuid": f"a{n}", "sessionId": text, "timestamp": TIME, "cwd": text, "gitBranch": text,
        "requestId": text, "message": message,
    }  # fmt: skip
    title = {"type": "custom-title", "sessionId": text, "customTitle": text}
    return b"".join(json.dumps(line).encode() + b"\n" for line in (assistant, title))


@pytest.mark.parametrize(
    "half", ["\\ud83d", "\\udc00", "\\uD83D\\uD83D\\uDE00", "\\ud83d\\\\ude00", "\\\\ud83d \\udfff"]
)
def test_half_an_emoji_costs_only_itself(half: str, tmp_path: Path) -> None:
    """JavaScript cuts texts in the middle of a pair; the rest of the line is sound."""
    bad = prompt("PLACE").replace(b"PLACE", f"a {half} z".encode()).rstrip()
    told = between(tmp_path / "a.jsonl", bad)
    text = told.activities[2].feature_json["prompt_text"]
    expected = json.loads(f'"a {half} z"').encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert told.rejected == [] and text == expected


# -- files that are no transcripts ---------------------------------------------------------------------------------


def test_a_real_transcript_cut_anywhere(tmp_path: Path) -> None:
    """Before the cut everything is read; the cut line is set aside when another follows it, and waits otherwise."""
    [original] = find(shared_data("recordings/search_and_todo"))
    content = original.read_bytes()
    chance = random.Random(7)
    path = tmp_path / "a.jsonl"
    for cut in [chance.randint(1, len(content) - 1) for _ in range(40)]:
        path.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")
        assert read(path).lines in (whole, whole + 1)
        assert read(path).rejected == []
        told = between(path, content[:cut])
        assert len(told.rejected) <= 1


@pytest.mark.parametrize("kind", ["noise", "program", "zeros", "newlines", "utf-16", "carriage returns", "no newline"])
def test_a_binary_file_between_good_lines(kind: str, tmp_path: Path) -> None:
    """Read to its end, in bounded letters."""
    content = {
        "noise": random.Random(1).randbytes(3_000_000),
        "program": Path(sys.executable).resolve().read_bytes()[:3_000_000],
        "zeros": b"\x00" * 3_000_000,
        "newlines": b"\n" * 100_000,
        "utf-16": prompt("hello").decode().encode("utf-16"),
        "carriage returns": b"\r".join([b"{"] * 1_000),
        "no newline": b"{" * 5_000_000,
    }[kind]
    path = tmp_path / "a.jsonl"
    path.write_bytes(prompt("before") + content + b"\n" + prompt("after"))
    told = read(path)
    asked = {seen.feature_json["prompt_text"] for seen in told.activities if seen.activity == "user_asked"}
    assert {"before", "after"} <= asked
    assert told.bytes == path.stat().st_size


HUGE = """
import resource
import sys
from pathlib import Path

from tests.capture.house import House
from tests.capture.test_transcript_bad_input import prompt

home, size, ends = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "ends"
path = home / "a.jsonl"
with path.open("wb") as file:
    file.write(prompt("before"))
    opening, closing = prompt("CUT HERE", "huge").split(b"CUT HERE")
    file.write(opening)
    for _ in range(size // 1_000_000):
        file.write(b"x" * 1_000_000)
    if ends:
        file.write(closing)
        file.write(prompt("after"))
house = House(home, lambda folder: folder)
progress = house.take_new([path])
status = Path("/proc/self/status")  # ru_maxrss also knows the size of the process that started this one
lines = status.read_text().splitlines() if status.exists() else []
peak = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
after = peak[0] if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after // 1024, progress.rejected, house.counts().get("user_asked", 0), [letter.reason for letter in house.dead])
"""


@pytest.mark.parametrize(
    ("size", "ends", "rejected", "asked"),
    [(100_000_000, True, 1, 2), (100_000_000, False, 1, 1), (30_000_000, True, 0, 3)],
    ids=["100 MB", "100 MB without an end", "30 MB"],
)
def test_a_huge_line_is_set_aside_in_bounded_memory(
    size: int, ends: bool, rejected: int, asked: int, tmp_path: Path, deployed: Callable[[Path], Path]
) -> None:
    """Under 400 MB in all; a line within the limit is read like any other."""
    deployed(tmp_path / "warehouse")
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", HUGE, str(tmp_path), str(size), "ends" if ends else "open"],
        capture_output=True, text=True, check=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    ).stdout.split(maxsplit=3)  # fmt: skip
    megabytes, found_rejected, found_asked = map(int, told[:3])
    assert (found_rejected, found_asked) == (rejected, asked)
    assert megabytes < 400
    if rejected:
        assert "over the limit" in told[3]


# -- files that cannot be read -------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_told_and_passed_over(house: House, tmp_path: Path) -> None:
    """A link to nowhere and a pipe are set aside with their reason; a folder with such a name is only a folder."""
    projects = tmp_path / "projects" / "p"
    projects.mkdir(parents=True)
    (projects / "a.jsonl").write_bytes(prompt("good"))
    (projects / "dangling.jsonl").symlink_to(projects / "nowhere")
    (projects / "loop.jsonl").symlink_to(projects / "loop.jsonl")
    (projects / "folder.jsonl").mkdir()
    (projects / "folder.jsonl" / "inside.jsonl").write_bytes(prompt("inside"))
    os.mkfifo(projects / "pipe.jsonl")
    progress = house.take(tmp_path)
    assert house.counts()["user_asked"] == 2
    reasons = {Path(letter.source).name: letter.reason for letter in house.dead}
    assert reasons.keys() == {"dangling.jsonl", "loop.jsonl", "pipe.jsonl"} and progress.rejected == 3
    assert all(reason.startswith("the file cannot be read: ") and len(reason) > 30 for reason in reasons.values())


def test_a_forbidden_file_is_told_and_passed_over(house: House, tmp_path: Path) -> None:
    """Somebody else's transcript beside one's own."""
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "good.jsonl").write_bytes(prompt("good"))
    (tmp_path / "projects" / "closed.jsonl").write_bytes(prompt("closed"))
    (tmp_path / "projects" / "closed.jsonl").chmod(0)
    house.take(tmp_path)
    assert house.counts()["user_asked"] == 1
    assert ["Permission denied" in letter.reason for letter in house.dead] == [True]


def test_a_file_that_vanishes_is_told_and_passed_over(house: House, tmp_path: Path) -> None:
    """Claude Code deletes old transcripts while they are being listed."""
    gone = tmp_path / "gone.jsonl"
    (tmp_path / "good.jsonl").write_bytes(prompt("good"))
    progress = house.take_new([gone, tmp_path / "good.jsonl"])
    assert progress.rejected == 1 and house.counts()["user_asked"] == 1


NAMES = [
    b"new\nline.jsonl", b"quote'\".jsonl", b"\xff.jsonl", b"\xfe.jsonl", b"\xed\xa0\x80.jsonl", "é😀.jsonl".encode(),
    b"-rf.jsonl", b"$(touch x).jsonl", b"a;DROP TABLE CLAUDE_STREAM_V2;--.jsonl", b" .jsonl", b"\x1b[31m.jsonl",
    b"%s%n{}.jsonl", b"x" * 240 + b".jsonl", b".jsonl", b"\\udcff.jsonl",
]  # fmt: skip


def test_hostile_file_names_are_only_names(house: House, tmp_path: Path) -> None:
    """Each is read, followed by its own bookmark, and named in its letters."""
    folder = os.fsencode(tmp_path) + b"/projects/p\xff\n'"
    paths = [Path(os.fsdecode(folder + b"/" + name)) for name in NAMES]
    paths[0].parent.mkdir(parents=True)
    for n, path in enumerate(paths):
        path.write_bytes(prompt("the same first line", "same") + prompt(f"file {n}") + b"bad\n")
    progress = house.take(tmp_path)
    assert (progress.files, house.counts()["user_asked"]) == (len(NAMES), len(NAMES) + 1)
    assert house.dead.count() == len(NAMES)
    with paths[2].open("ab") as file:
        file.write(prompt("new in one"))
    followed = house.take_new(sorted(find(tmp_path)))
    assert followed.lines == 1 and house.counts()["user_asked"] == len(NAMES) + 2


# -- lines of the right shape and the wrong types ------------------------------------------------------------------


def _real_lines() -> list[dict[str, Any]]:
    """One line of each kind that the recordings and public transcripts hold."""
    kinds: dict[Any, dict[str, Any]] = {}
    roots = [path for name in ("recordings", "transcripts") if (path := SHARED / name).is_dir()]
    for path in (path for root in roots for path in sorted(root.rglob("*.jsonl")) if path.stat().st_size < 400_000):
        for raw in path.read_bytes().split(b"\n"):
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict) and len(raw) < 20_000 and ("type" in line or "message" in line):
                kinds.setdefault(_kind(line), line)
    return list(kinds.values())


def _kind(line: dict[str, Any]) -> Any:
    told = line.get("toolUseResult")
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    first = content[0] if isinstance(content, list) and content and isinstance(content[0], dict) else {}
    attachment = line.get("attachment")
    return (
        str(line.get("type")), str(line.get("subtype")), str(first.get("type")), str(first.get("name")),
        str(attachment.get("type") if isinstance(attachment, dict) else None),
        tuple(sorted(told))[:4] if isinstance(told, dict) else type(told).__name__, bool(line.get("isApiErrorMessage")),
    )  # fmt: skip


REAL = _real_lines()
odd: st.SearchStrategy[Any] = (
    st.sampled_from(([], {}, [[]], [None], {"type": []}, "", 0, -1, 2**70, 1e300, True, None, "\x00", ["x"], [{}]))
    | json_values
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container and key below a value."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A real line with other values in some places."""
    line = json.loads(json.dumps(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(line))
        shallow = [place for place in found if place[0] is line]
        container, key = draw(st.sampled_from(draw(st.sampled_from((found, shallow))) or found))
        container[key] = json.loads(json.dumps(draw(odd)))
    return json.dumps(line).encode()


@pytest.mark.skipif(not REAL, reason="needs ../shared/data, which is not beside this repository")
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(mangled(), min_size=1, max_size=4))
def test_wrong_types_never_raise(lines: list[bytes], tmp_path: Path) -> None:
    """Each line is understood or set aside; what is understood can be written, read and merged."""
    told = between(tmp_path / "a.jsonl", b"\n".join(lines))
    for seen in told.activities:
        assert decode(encode(seen)).activity_id == seen.activity_id


@pytest.mark.skipif(not REAL, reason="needs ../shared/data, which is not beside this repository")
def test_every_field_of_every_kind_of_line_may_be_anything(house: House) -> None:
    """Each known field of each kind of line, one after the other, as a list, an object, a number, a word, true, null:
    everything goes on into the warehouse."""
    path = house.home / "a.jsonl"
    with path.open("wb") as file:
        for line in REAL:
            for value in ([], {}, ["x"], {"type": ["x"]}, 7, -1.5, "word", True, None):
                for name in line:
                    file.write(json.dumps({**line, name: value}).encode() + b"\n")
                message = line.get("message")
                for name in message if isinstance(message, dict) else ():
                    file.write(json.dumps({**line, "message": {**line["message"], name: value}}).encode() + b"\n")
        file.write(prompt("the last"))
    house.take_new([path])
    assert house.warehouse.query(
        f"SELECT count(*) FROM {STREAM} WHERE feature_json.prompt_text::VARCHAR = 'the last'"
    ).rows
    assert not [letter for letter in house.dead if letter.source.startswith("queue/")]


@pytest.mark.parametrize("where", ["input", "content", "toolUseResult", "modelUsage", "attachment", "unknown", "usage"])
def test_any_depth_of_nesting_is_survived(where: str, tmp_path: Path) -> None:
    """Around the depth where a recursive reader gives up, the line is read or set aside, never half of both."""
    path = tmp_path / "a.jsonl"
    for depth in [*range(880, 1_000, 3), 5_000, 200_000]:
        deep = b"[" * depth + b"]" * depth
        line = {
            "input": {**_assistant(), "message": {"id": "m", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"x": "DEEP"}}]}},
            "content": {**_user(), "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": ["DEEP"]}]}},
            "toolUseResult": {**_user(), "toolUseResult": {"filePath": "x", "structuredPatch": ["DEEP"]}, "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}},
            "modelUsage": {"type": "cost-state", "sessionId": "s", "startTime": 1, "totalDuration": 1, "modelUsage": {"m": "DEEP"}},
            "attachment": {**_user(), "type": "attachment", "attachment": {"type": "queued_command", "prompt": "x", "y": "DEEP"}},
            "unknown": {**_user(), "type": "never heard of", "x": "DEEP"},
            "usage": {**_assistant(), "message": {"id": "m", "usage": {"input_tokens": 1, "output_tokens": 1, "x": "DEEP"}}},
        }[where]  # fmt: skip
        told = between(path, json.dumps(line).encode().replace(b'"DEEP"', deep))
        for seen in told.activities:
            encode(seen)


def _user() -> dict[str, Any]:
    return {"type": "user", "uuid": "u", "sessionId": "s", "timestamp": TIME}


def _assistant() -> dict[str, Any]:
    return {**_user(), "type": "assistant", "requestId": "r"}


TIMES = [
    "", "now", "2026-13-01T00:00:00Z", "2026-03-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
    1_700_000_000, None, [], "2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "2026-03-01T12:00:00,5Z", "20260301T120000Z____",
]  # fmt: skip


def test_odd_times_are_refused_or_kept(house: House) -> None:
    """A line without a usable time has no place in a stream of times; one with an odd but real time has."""
    path = house.home / "a.jsonl"
    path.write_bytes(b"".join(prompt(f"at {at}", f"u{n}", timestamp=at) for n, at in enumerate(TIMES)))
    progress = house.take_new([path])
    kept = house.counts()["user_asked"]
    assert kept + progress.rejected == len(TIMES) and kept >= 4
    assert {letter.reason for letter in house.dead} == {"the line has no valid timestamp"}


def test_a_letter_names_its_place(tmp_path: Path) -> None:
    """The byte offset where the line begins, in a file of several pieces too."""
    path = tmp_path / "a.jsonl"
    filler = prompt("x" * 1_000) * 4_000
    path.write_bytes(filler + b"{bad\n" + filler + b"[1]\n")
    assert read(path).rejected == [
        DeadLetter(reason=letter.reason, source=str(path), offset=offset, line=line)
        for letter, (offset, line) in zip(
            read(path).rejected, [(len(filler), b"{bad"), (2 * len(filler) + 5, b"[1]")], strict=True
        )
    ]


def test_memory_of_this_test_run_is_measurable() -> None:
    """`ru_maxrss` is in kilobytes here; where it is not, the limits above would mean nothing."""
    assert 10_000 < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 100_000_000
