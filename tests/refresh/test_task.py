"""A task file says what it reads, when it runs and what it writes; a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.refresh.house import noting, parted, tasks

from cdesk.refresh.task import FOLDER, BadTask, load, parse
from cdesk.warehouse.warehouse import Stream

HEADER = """-- task: roll_up
-- meaning: activities by hour
-- reads: ROLL_UP_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- reads: ROLL_UP_ATOMS on insight_atoms (append, new rows only)
-- when: changes
-- fresh: 500 ms
-- writes: ROLLED, INSIGHT_ATOMS
-- scratch: changed
"""
SQL = "\nINSERT INTO ROLLED (a) SELECT activity_id FROM ROLL_UP_CHANGES;\nDELETE FROM ROLLED WHERE a IN (SELECT id FROM ROLL_UP_ATOMS);\n"


def test_a_header_is_read() -> None:
    """Every line of it."""
    task = parse("roll_up", HEADER + SQL)
    assert (task.name, task.meaning, task.when, task.fresh_seconds) == ("roll_up", "activities by hour", "changes", 0.5)
    assert task.reads == (
        Stream("ROLL_UP_CHANGES", "CLAUDE_STREAM_V2", "standard", True),
        Stream("ROLL_UP_ATOMS", "INSIGHT_ATOMS", "append", False),
    )
    assert (task.writes, task.scratch) == (("ROLLED", "INSIGHT_ATOMS"), ("CHANGED",))
    assert task.sql.startswith("\nINSERT")


def test_a_task_may_run_by_the_clock() -> None:
    """Without streams, then."""
    text = "-- task: nightly\n-- meaning: x\n-- when: cron 0 2 * * * America/Los_Angeles\n-- writes: T\nDELETE FROM T"
    task = parse("nightly", text)
    assert task.cron is not None and task.when == "cron 0 2 * * * America/Los_Angeles"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("task: roll_up", "task: other", "must be the file's name"),
        ("-- meaning: activities by hour\n", "", "no `meaning:`"),
        ("-- writes: ROLLED, INSIGHT_ATOMS\n", "", "no `writes:`"),
        ("-- when: changes", "-- about: tool_called\n-- when: changes", "in CLAUDE_STREAM_V2 alone"),
        ("-- when: changes", "-- when: hourly", "neither `changes` nor `cron …`"),
        ("-- when: changes", "-- when: cron 0 25 * * * UTC", "hour '25' is outside 0-23"),
        ("-- when: changes", "-- when: cron 0 2 * * * Mars/Base", "'Mars/Base' is not a time zone"),
        ("-- when: changes", "-- when: cron 0 2 * * *", "five fields and a time zone"),
        ("-- when: changes", "-- when: cron 0 2 30 2 * UTC", "never comes"),
        ("500 ms", "soon", "`fresh: soon` is not a time"),
        ("(standard, initial rows)", "(everything)", "is not `NAME on TABLE"),
        ("on CLAUDE_STREAM_V2", "on QUERY_HISTORY", "no change stream on QUERY_HISTORY"),
        ("-- fresh", "-- freshness", "line 6 of the header is none of"),
        ("-- when: changes", "-- when: changes\n-- when: changes", "`when:` is there twice"),
        ("writes: ROLLED", "writes: ROLLED!", "names 'ROLLED!', which is no name"),
        ("ROLL_UP_ATOMS on", "OTHER_ATOMS on", "no statement reads OTHER_ATOMS"),
        (SQL, "\n", "no statements"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """With the file it is in."""
    assert old in HEADER + SQL
    (tmp_path / "roll_up.sql").write_text((HEADER + SQL).replace(old, new))
    with pytest.raises(BadTask) as caught:
        load(tmp_path)
    assert said in str(caught.value) and "roll_up.sql" in str(caught.value)


def test_tasks_come_after_those_they_name(tmp_path: Path) -> None:
    """Whatever their files are called."""
    found = tasks(tmp_path, {"a": noting("a", "-- after: c\n"), "b": noting("b"), "c": noting("c", "-- after: b\n")})
    assert [task.name for task in found] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": noting("a", "-- after: b\n"), "b": noting("b", "-- after: a\n")}, "in a circle"),
        ({"a": noting("a", "-- after: nobody\n")}, "which is no task"),
        ({"a": noting("a"), "b": noting("b").replace("B_CHANGES", "A_CHANGES")}, "both read A_CHANGES"),
    ],
)
def test_tasks_must_go_together(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """No circle, nobody missing, no stream with two consumers."""
    with pytest.raises(BadTask, match=said):
        tasks(tmp_path, files)


def test_tasks_that_are_shipped_are_right() -> None:
    """Every one can be read and compiled."""
    from cdesk.refresh.statements import compiled

    for task in load(FOLDER):
        assert compiled(task)


def test_parts_stand_where_the_task_says(tmp_path: Path) -> None:
    """In the order of their names; a change of one of them is a change of the task."""
    files = {"t": parted("t"), "t/b": "DELETE FROM NOTED;", "t/a": "DELETE FROM NOTED WHERE what = 'a';"}
    [task] = tasks(tmp_path, files)
    assert [piece.name for piece in task.pieces] == ["", "a", "b", ""]
    [changed] = tasks(tmp_path, {**files, "t/a": "DELETE FROM NOTED WHERE what = 'b';"})
    assert changed.checksum != task.checksum


@pytest.mark.parametrize("files", [{"t": parted("t")}, {"t": noting("t"), "t/a": "DELETE FROM NOTED;"}])
def test_parts_and_their_place_need_each_other(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BadTask, match="says `-- parts` once"):
        tasks(tmp_path, files)


def test_every_detector_says_how_it_decides() -> None:
    """And how sure it is, before its SQL; its rule is its file's name."""
    [task] = [task for task in load() if task.name == "detect_patterns"]
    parts = [piece for piece in task.pieces if piece.name]
    assert len(parts) == 9
    for part in parts:
        header = part.sql.partition("\n\n")[0]
        assert header.startswith(f"-- {part.name}: ") and "-- Decides by: " in header and "-- Confidence: " in header
        assert f"'{part.name}'" in part.sql
