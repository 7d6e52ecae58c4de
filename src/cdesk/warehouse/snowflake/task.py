"""A refresh task in Snowflake's own words: its streams, and a task that runs when they have data, or by its cron.

    reads: X on T (standard, initial rows)   CREATE STREAM X ON TABLE T SHOW_INITIAL_ROWS = TRUE
    when: changes                            WHEN SYSTEM$STREAM_HAS_DATA('X'), no schedule: it costs nothing while nothing comes
    when: cron …                             SCHEDULE = 'USING CRON …'
    scratch: S                               emptied at the end, in the same transaction
    :now                                     SYSDATE()
    its name                                 QUERY_TAG = 'cdesk:task:name', by which its runs and what they cost are found

A stream is not made anew when its task changes: it would forget how far it had come.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from cdesk.warehouse.snowflake.deploy import Extra
from cdesk.warehouse.warehouse import Stream

_NOW = re.compile(r"(?<![\w:\)\]\"]):now\b")


class Cron(Protocol):
    @property
    def text(self) -> str:
        """The five fields and the time zone."""
        ...


class Task(Protocol):
    """What is needed of `refresh.task.Task`."""

    @property
    def name(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def reads(self) -> tuple[Stream, ...]: ...
    @property
    def cron(self) -> Cron | None: ...
    @property
    def scratch(self) -> tuple[str, ...]: ...
    @property
    def sql(self) -> str: ...


def steps(tasks: Sequence[Task]) -> list[Extra]:
    """One step for each task, in their order."""
    return [Extra(f"tasks/{task.name}", step(task)) for task in tasks]


def step(task: Task) -> str:
    name = f"CDESK_{task.name.upper()}"
    return (
        ";\n".join([*(_stream(stream) for stream in task.reads), _task(name, task), f"ALTER TASK {name} RESUME"])
        + ";\n"
    )


def _stream(stream: Stream) -> str:
    append = " APPEND_ONLY = TRUE" if stream.mode == "append" else ""
    initial = " SHOW_INITIAL_ROWS = TRUE" if stream.initial_rows else ""
    return f"CREATE STREAM IF NOT EXISTS {stream.name} ON TABLE {stream.table}{append}{initial}"


def _task(name: str, task: Task) -> str:
    when = " OR ".join(f"SYSTEM$STREAM_HAS_DATA('{stream.name}')" for stream in task.reads)
    schedule = f"\nSCHEDULE = 'USING CRON {task.cron.text}'" if task.cron else ""
    condition = f"\nWHEN {when}" if when and not task.cron else ""
    tag = f"\nQUERY_TAG = 'cdesk:task:{task.name}'"
    return f"CREATE OR REPLACE TASK {name}\nWAREHOUSE = CDESK_TASKS{schedule}{tag}{condition}\nAS EXECUTE IMMEDIATE\n$$\n{_block(task)}\n$$"


def _block(task: Task) -> str:
    emptied = "".join(f"    DELETE FROM {table};\n" for table in task.scratch)
    body = _NOW.sub("SYSDATE()", task.sql).strip().rstrip(";")
    return f"""BEGIN
    BEGIN TRANSACTION;
{body};
{emptied}    COMMIT;
EXCEPTION
    WHEN OTHER THEN
        ROLLBACK;
        RAISE;
END;"""
