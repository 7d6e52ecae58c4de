"""The context cache: any process reads it, one writes it, and whatever becomes of the file hurts nobody."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from cdesk.clock import Clock
from cdesk.context.cache import ContextCache, ContextReader
from cdesk.context.model import Context, ContextKey, Kind, Statement
from cdesk.context.names import FILE, Names
from cdesk.context.wishes import Wishes, key_of, key_text
from cdesk.errors import ContextError

KEY = ContextKey("ada", "/p")
NOW = 1_800_000_000.0


def context(key: ContextKey = KEY, text: str = "It failed.", built_at: float = NOW, version: str = "v1") -> Context:
    statement = Statement(text, "failure", ("activity:1",), "it is recent", 0.5)
    return Context(key, (statement,), built_at, NOW - 5, version)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "context" / "cache.sqlite"


@pytest.fixture
def cache(path: Path) -> ContextCache:
    return ContextCache(path, clock=Clock(now_ns=lambda: int(NOW * 1e9)))


# -- reading -------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_read(cache: ContextCache, path: Path) -> None:
    """Whole, by its key alone; another kind, project or customer is another context."""
    cache.keep([context()])
    reader = ContextReader(path)
    assert reader.read(KEY) == context()
    for other in (
        ContextKey("ada", "/p", "engineer"),
        ContextKey("ada"),
        ContextKey("bob", "/p"),
        ContextKey("ada", ""),
    ):
        assert reader.read(other) is None


def test_another_process_reads_while_the_service_is_down(cache: ContextCache, path: Path) -> None:
    """Nothing but the file is needed, and it is as it was."""
    cache.keep([context()])
    cache.close()
    program = (
        "import sys, pathlib; from cdesk.context.cache import ContextReader; from cdesk.context.model import ContextKey;"
        "found = ContextReader(pathlib.Path(sys.argv[1])).read(ContextKey('ada', '/p'));"
        "print(found.version, found.age_seconds(found.built_at + 7))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "v1 7.0\n"


def test_a_reader_that_is_open_sees_what_is_kept_later(cache: ContextCache, path: Path) -> None:
    """Also when it looked before there was a file."""
    reader = ContextReader(path)
    assert reader.read(KEY) is None
    cache.keep([context()])
    assert reader.read(KEY) == context()
    cache.keep([context(text="It works.", version="v2")])
    found = reader.read(KEY)
    assert found is not None and found.version == "v2"


def test_the_same_told_again_is_only_younger(cache: ContextCache, path: Path) -> None:
    """The version stays, the time moves."""
    assert cache.keep([context()]) == 1
    assert cache.keep([context(built_at=NOW + 9)]) == 0
    found = ContextReader(path).read(KEY)
    assert found is not None and (found.version, found.built_at) == ("v1", NOW + 9)


BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"not a database at all" * 1000),
    "a folder": lambda path: path.mkdir(),
    "another program's database": lambda path: _foreign(path),
    "our names, another's tables": lambda path: _foreign(path, "CREATE TABLE context (key, body, built_at, data_as_of, version)"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
}  # fmt: skip


def _foreign(path: Path, sql: str = "CREATE TABLE other (a)") -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_read_is_nothing(path: Path, how: str) -> None:
    """No error, no file made, no byte changed."""
    path.parent.mkdir()
    BROKEN[how](path)
    before = path.read_bytes() if path.is_file() else None
    reader = ContextReader(path)
    assert reader.read(KEY) is None and reader.read(KEY) is None and reader.kept() is None
    assert (path.read_bytes() if path.is_file() else None) == before
    assert path.is_file() == (before is not None)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91\xc0", "text", None])
def test_a_body_that_says_nothing_is_nothing(cache: ContextCache, path: Path, body: object) -> None:
    """A row that some other version wrote."""
    cache.keep([context()])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE OR IGNORE context SET body = coalesce(?, 7)", (body,))
    assert ContextReader(path).read(KEY) is None


@pytest.mark.parametrize("where", [0, 100, 4096, 4200])
def test_a_file_that_is_damaged_under_a_reader_is_nothing_to_it(cache: ContextCache, path: Path, where: int) -> None:
    """And the writer has a new one in its place, which the same reader sees."""
    cache.keep([context(ContextKey("ada", f"/{n}"), "x" * 500) for n in range(50)])
    cache.close()
    reader = ContextReader(path)
    assert reader.read(ContextKey("ada", "/1")) is not None
    with path.open("r+b") as file:
        file.seek(where)
        file.write(b"\xff" * 4096)
    ContextReader(path).read(ContextKey("ada", "/1"))
    again = ContextCache(path)
    assert again.take_note() is True
    again.keep([context()])
    assert reader.read(KEY) == context()


def test_what_a_reader_holds_is_never_old(cache: ContextCache, path: Path) -> None:
    """Whether it read the same before, something newer or of a file that is another one now."""
    reader = ContextReader(path)
    for round_ in range(3):
        cache.keep([context(ContextKey("ada", f"/{n}"), f"{round_} {n}", version=f"v{round_} {n}") for n in range(150)])
        for _ in range(2):
            for number in range(150):
                found = reader.read(ContextKey("ada", f"/{number}"))
                assert found is not None and found.statements[0].text == f"{round_} {number}"
    path.unlink()
    cache.keep([context(ContextKey("ada", "/1"), "anew", version="v2 1")])
    found = reader.read(ContextKey("ada", "/1"))
    assert found is not None and found.statements[0].text == "anew"


def test_odd_names_are_names(cache: ContextCache, path: Path) -> None:
    """Whatever a folder or a person is called; what is no text at all is nothing."""
    reader = ContextReader(path)
    for name in ('a"b', "a'b; DROP TABLE context", "ä\n\t", "x" * 4000, "\0", "[1]", ""):
        cache.keep([context(ContextKey(name, name))])
        assert reader.read(ContextKey(name, name)) == context(ContextKey(name, name))
    assert reader.read(ContextKey("\ud800")) is None and reader.want(ContextKey("\ud800")) is False


def test_many_threads_share_one_reader(cache: ContextCache, path: Path) -> None:
    """As those of a service do, while it writes."""
    keys = [ContextKey("ada", f"/{n}") for n in range(20)]
    cache.keep([context(key) for key in keys])
    reader = ContextReader(path)

    def read(number: int) -> bool:
        if number % 50 == 0:
            cache.keep([context(keys[number % 20], version=f"v{number}")])
        found = reader.read(keys[number % 20])
        return found is not None and found.key == keys[number % 20]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(500)))


# -- writing -------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_alone(cache: ContextCache, path: Path) -> None:
    """Its log too, whatever the umask; and the folder."""
    before = os.umask(0)
    try:
        cache.keep([context()])
        ContextReader(path).want(KEY)
    finally:
        os.umask(before)
    for each in (path.parent, *path.parent.rglob("*")):
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == 0, each


@pytest.mark.parametrize("how", [name for name in BROKEN if name not in ("a folder", "a dangling link")])
def test_the_writer_replaces_what_is_not_ours(path: Path, how: str) -> None:
    """And says so once, so that contexts are made anew."""
    path.parent.mkdir()
    BROKEN[how](path)
    cache = ContextCache(path)
    assert (cache.take_note(), cache.take_note()) == (True, False)
    cache.keep([context()])
    assert ContextReader(path).read(KEY) == context()


def test_what_is_ours_is_kept_over_a_restart(cache: ContextCache, path: Path) -> None:
    """Nothing to make anew."""
    cache.keep([context()])
    cache.close()
    assert ContextCache(path).take_note() is False
    assert ContextReader(path).read(KEY) == context()


def test_what_was_made_under_another_consent_is_gone(path: Path) -> None:
    """It may hold what is withheld now: a reader finds nothing rather than that."""
    before, reader = ContextCache(path, under="a"), ContextReader(path)
    before.keep([context()])
    assert reader.read(KEY) == context()
    before.close()
    assert ContextCache(path, under="b").take_note() is True
    assert reader.read(KEY) is None


def test_whose_facts_are_shown_as_anothers_has_the_others_contexts(cache: ContextCache, path: Path) -> None:
    """At once in every reader that is open, by every way in, and no longer when that is taken back or lost."""
    reader, names, shown = ContextReader(path), Names(path.parent), ContextKey("ada@example.org", "/p")
    cache.keep([context(shown)])
    assert reader.read(KEY) is None
    names.keep({"ada": shown.customer})
    assert reader.read(KEY) == context(shown) and reader.named(KEY) == shown
    assert [place.project_path for place in reader.places("ada", 9)] == ["/p"]
    assert reader.want(KEY) and Wishes(path.parent / "wishes").look() == [shown]
    for undo in (lambda: names.keep({}), (path.parent / FILE).unlink, lambda: (path.parent / FILE).write_text("[")):
        undo()
        assert reader.read(KEY) is None


def test_a_folder_in_its_place_is_said(path: Path) -> None:
    """With a remedy; nothing is removed that is no file."""
    path.mkdir(parents=True)
    with pytest.raises(ContextError, match=r"cannot write .*cache\.sqlite"):
        ContextCache(path).keep([context()])
    assert path.is_dir()


def test_a_file_that_is_deleted_comes_back(cache: ContextCache, path: Path) -> None:
    """The writer sees it at its next look; a reader that is open follows."""
    cache.keep([context()])
    reader = ContextReader(path)
    assert cache.take_note() and reader.read(KEY)
    path.unlink()
    assert reader.read(KEY) is None
    assert cache.take_note() is True
    cache.keep([context()])
    assert reader.read(KEY) == context()


def test_the_oldest_make_room(path: Path) -> None:
    """So that a cache of whoever ever asked does not grow for ever."""
    cache = ContextCache(path, contexts_max=3)
    for number in range(6):
        cache.keep([context(ContextKey("ada", f"/{number}"), built_at=NOW + number)])
    assert sorted(str(key.project_path) for key in cache.keys_of(["ada"])) == ["/3", "/4", "/5"]


def test_keys_are_found_by_customer(cache: ContextCache) -> None:
    """Of ten thousand customers, those that are asked for."""
    cache.keep([context(ContextKey(f"c{n}", kind=kind)) for n in range(700) for kind in _kinds()])
    assert set(cache.keys_of(["c3", "c600", "nobody"])) == {
        ContextKey(c, kind=k) for c in ("c3", "c600") for k in _kinds()
    }
    assert len(cache.keys_of(f"c{n}" for n in range(700))) == 1400


def _kinds() -> tuple[Kind, Kind]:
    return "default", "analyst"


def test_a_clock_that_was_set_back_keeps_nothing_fresh(cache: ContextCache, path: Path) -> None:
    """What was made in a future that is none now is stale, what was made before is as it is."""
    cache.keep([context(built_at=NOW + 86_400), context(ContextKey("bob"), built_at=NOW - 3)])
    cache.mind_the_clock()
    reader = ContextReader(path)
    future, past = reader.read(KEY), reader.read(ContextKey("bob"))
    assert future is not None and future.is_stale(NOW)
    assert past is not None and past.built_at == NOW - 3


# -- wishes --------------------------------------------------------------------------------------------------------


def test_a_thousand_readers_wish_once(path: Path) -> None:
    """One of them asked; the service sees one wish, and after it is fulfilled there is none."""
    path.parent.mkdir()
    with ThreadPoolExecutor(50) as threads:
        asked = list(threads.map(lambda _: ContextReader(path).want(KEY), range(1000)))
    assert asked.count(True) == 1
    wishes = Wishes(path.parent / "wishes")
    assert wishes.look() == [KEY]
    wishes.done(KEY)
    assert wishes.look() == [] and ContextReader(path).want(KEY) is True


def test_processes_wish_once(path: Path) -> None:
    """The file system decides who was first."""
    path.parent.mkdir()
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        asked = pool.starmap(_want, [(path, 100)] * 3)
    assert sum(asked) == 1


def _want(path: Path, times: int) -> int:
    reader = ContextReader(path)
    return sum(reader.want(KEY) for _ in range(times))


def test_a_wish_changes_nothing_else_and_waits_for_nobody(cache: ContextCache, path: Path) -> None:
    """Also while the writer is in the middle of a commit."""
    cache.keep([context()])
    before = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.name.startswith("cache")}
    reader = ContextReader(path)
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        done = threading.Event()

        def act() -> None:
            assert reader.want(KEY) is True and reader.read(KEY) == context()
            done.set()

        thread = threading.Thread(target=act)
        thread.start()
        assert done.wait(5), "it waited for the writer"
        writer.execute("ROLLBACK")
    assert {name: (path.parent / name).read_bytes() for name in before if name.endswith(("sqlite", "-wal"))} == {
        name: text for name, text in before.items() if name.endswith(("sqlite", "-wal"))
    }


def test_a_home_is_not_made_by_who_only_asks(tmp_path: Path) -> None:
    """Nobody is there to fulfil a wish."""
    assert ContextReader(tmp_path / "home" / "context" / "cache.sqlite").want(KEY) is False
    assert not (tmp_path / "home").exists()


def test_what_is_no_wish_is_removed(tmp_path: Path) -> None:
    """Files of others, wishes under a wrong name, what a process did not live to finish."""
    wishes = Wishes(tmp_path / "context" / "wishes")
    wishes.ask(KEY)
    folder = tmp_path / "context" / "wishes"
    (folder / "junk").write_bytes(b"\xff\xfe")
    (folder / "elsewhere").write_bytes(key_text(KEY))
    (folder / "wrong-kind").write_bytes(msgspec.json.encode(("ada", None, "poet")))
    (folder / ".unfinished").write_bytes(b"")
    os.utime(folder / ".unfinished", (0, 0))
    assert wishes.look() == [KEY]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("key", [KEY, ContextKey("ada"), ContextKey("a\0b", "ü", "analyst")])
def test_keys_survive_storage(key: ContextKey) -> None:
    """Text and back."""
    assert key_of(key_text(key)) == key
