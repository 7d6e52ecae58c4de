"""A warehouse with tasks of a test's own, and the activities they run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Source
from cdesk.refresh.task import Task, load
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import Stream

START = datetime(2026, 3, 1, 12, tzinfo=UTC)

COUNTED = """-- task: count_activities
-- meaning: activities by customer
-- reads: COUNT_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: {fresh}
-- writes: COUNTED

MERGE INTO COUNTED AS t
USING (
    SELECT customer, SUM(CASE WHEN METADATA$ACTION = 'INSERT' THEN 1 ELSE -1 END) AS n
    FROM COUNT_CHANGES GROUP BY customer
) AS s ON t.customer = s.customer
WHEN MATCHED THEN UPDATE SET t.n = t.n + s.n
WHEN NOT MATCHED THEN INSERT (customer, n) VALUES (s.customer, s.n);
"""
TABLES = "CREATE TABLE IF NOT EXISTS COUNTED (customer VARCHAR, n BIGINT); CREATE TABLE IF NOT EXISTS NOTED (what VARCHAR, noted_at TIMESTAMP)"


def counted(fresh: str = "10 ms") -> str:
    return COUNTED.format(fresh=fresh)


def noting(name: str, more: str = "", *, when: str = "changes", fresh: str = "10 ms") -> str:
    """A task that notes in NOTED that it ran."""
    reads = (
        f"-- reads: {name.upper()}_CHANGES on CLAUDE_STREAM_V2 (append, initial rows)\n" if when == "changes" else ""
    )
    source = f" FROM {name.upper()}_CHANGES HAVING COUNT(*) > 0" if reads else ""
    return (
        f"-- task: {name}\n-- meaning: notes that it ran\n{reads}-- when: {when}\n-- fresh: {fresh}\n{more}"
        f"-- writes: NOTED\n\nINSERT INTO NOTED (what, noted_at) SELECT '{name}', :now{source};\n"
    )


def parted(name: str) -> str:
    """A task that does nothing beside its parts; what each noted is gone when it runs again."""
    return noting(name).replace("\nINSERT", "\nDELETE FROM NOTED;\n\n-- parts\n\nINSERT")


def tasks(folder: Path, files: Mapping[str, str]) -> list[Task]:
    """By name; that of a part has its task's before it: task/part."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*.sql"):
        path.unlink()
    for name, text in files.items():
        path = folder / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return load(folder)


def activity(key: str, customer: str = "ada", source: Source = "hook", **features: Any) -> Activity:
    return Activity(
        activity_id=activity_id("given", key), ts=START + timedelta(minutes=len(key)), activity="tool_called",
        customer=customer, feature_json=features, source=source,
    )  # fmt: skip


def with_tables(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    for statement in TABLES.split(";"):
        warehouse.query(statement)
    return warehouse


@dataclass(frozen=True, slots=True)
class Consumer:
    """Reads a stream by hand."""

    warehouse: DuckDBWarehouse
    stream: Stream

    def look(self, columns: str = "customer") -> list[tuple[Any, ...]]:
        """What has changed, and that is taken note of."""
        with self.warehouse.changes.consume([self.stream]) as unit:
            return unit.cursor.execute(
                f'SELECT "METADATA$ACTION", "METADATA$ISUPDATE", {columns} FROM {self.stream.name} ORDER BY ALL'
            ).fetchall()
