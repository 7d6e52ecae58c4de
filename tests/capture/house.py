"""A home with every room between a transcript and an answer, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.generated import without_nulls

from cdesk.activity.model import Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.intake import Intake
from cdesk.clock import Clock
from cdesk.governance.consent import Consent
from cdesk.governance.redaction import Redactor
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

KEY = b"k" * 32
PERSON = Person("ada@example.org", "host_test")
PRICES = PriceBook.bundled()
REDACTOR = Redactor(KEY)
TABLE = f"""SELECT * EXCLUDE (_ingested_at, _seq, _first_seq) REPLACE (feature_json::JSON::VARCHAR AS feature_json)
              FROM {STREAM} ORDER BY activity_id"""

Deployed = Callable[[Path], Path]


class House:
    """`deployed` is the fixture of that name."""

    def __init__(self, home: Path, deployed: Deployed) -> None:
        self.home = home
        self.warehouse = DuckDBWarehouse(deployed(home / "warehouse"), clock=Clock(now_ns=lambda: 0))
        self.writer = Writer(home / "queue")
        self.dead = DeadLetters(home / "dead", redact=REDACTOR.line)
        self.gate = Gate(self.writer, REDACTOR.line, Consent(), KEY)
        self.intake = Intake(self.gate)
        self.uploader = Uploader(Reader(home / "queue", "warehouse", self.dead), self.warehouse, self.dead)
        self.backfill = Backfill(PERSON, PRICES, self.gate, self.dead, lambda: None)
        self.bookmarks = Bookmarks(home / "bookmarks.json")

    def take(self, *claude_dirs: Path) -> Progress:
        """Whole transcripts, into the warehouse."""
        progress = self.backfill.run(claude_dirs, self.bookmarks)
        self.uploader.drain()
        return progress

    def take_new(self, paths: Iterable[Path]) -> Progress:
        """What is new in these files, one after the other, by bookmarks that are written down in between."""
        progress = Progress()
        for path in paths:
            self.backfill.read(path, self.bookmarks, progress)
            self.bookmarks.save()
            self.bookmarks = Bookmarks(self.home / "bookmarks.json")
        self.uploader.drain()
        return progress

    def rows(self, sql: str = TABLE) -> list[dict[str, Any]]:
        answer = self.warehouse.query(sql)
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        if sql is TABLE:
            return [{**row, "feature_json": without_nulls(row["feature_json"])} for row in rows]
        return rows

    def counts(self) -> dict[str, int]:
        found = self.warehouse.query(f"SELECT activity, count(*) FROM {STREAM} GROUP BY 1").rows
        return dict(found)

    def close(self) -> None:
        self.writer.close()
        self.warehouse.close()


def differences(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[str]:
    """What is not the same in two tables, short enough to read."""
    mine, theirs = ({str(row["activity_id"]): row for row in rows} for rows in (left, right))
    told = [
        f"only in one: {name} {(mine.get(name) or theirs[name])['activity']}" for name in mine.keys() ^ theirs.keys()
    ]
    for name in sorted(mine.keys() & theirs.keys()):
        for column, value in mine[name].items():
            if value != theirs[name][column]:
                told.append(
                    f"{mine[name]['activity']} {name} {column}: {value!s:.300} != {theirs[name][column]!s:.300}"
                )
    return told
