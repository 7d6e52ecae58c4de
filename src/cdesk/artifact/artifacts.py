"""Keeps whole results and gives them back: by page, as a file, by a link that ends.

    keep      content is due, in an hour ──▶ Parquet ──store, durable──▶ row of ARTIFACTS, and not due any more
    delete    row ──▶ content is due, now ──▶ content ──▶ done
    sweep     content that is due

Whatever a crash interrupts, ARTIFACT_CONTENT_DUE names the content that no row tells of. Nothing else is ever deleted:
not what another home keeps in the same bucket, and not what rows of a warehouse told of that was lost.

Deleted is what expired (the task clean_artifacts, every night) or what somebody deletes; never what is pinned or held.
How often an artifact was read is counted in memory and written every COUNTS_SECONDS and at the end: a crash may lose
the last of it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import msgspec

from cdesk.activity.model import JSON
from cdesk.artifact.folder import FolderStore, translated
from cdesk.artifact.model import DAYS, Artifact, Chart, Column, Kind, Listed, Page, Place
from cdesk.artifact.parquet import ArrowStream, Parquet
from cdesk.artifact.rows import Rows, Tables
from cdesk.artifact.sample import SAMPLE_ROWS_MAX, sample
from cdesk.artifact.seal import Seal
from cdesk.artifact.store import SUFFIX, Store
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import ArtifactError, CdeskError, UnknownArtifact, UsageError

PAGE_ROWS, PAGE_ROWS_MAX = 100, 10_000
PAGE_BYTES_MAX = 4 * 1024 * 1024
"""Of the rows of one page, as JSON; one row is given whatever its size."""
LISTED, LISTED_MAX = 50, 1_000
TITLE_CHARACTERS_MAX = 200
KEEPING_SECONDS_MAX = 3_600.0
"""Content whose row did not come within this time never gets one."""
COUNTS_SECONDS = 5.0
NEW = ".new"
_ID = re.compile(r"art_[0-9a-f]{6,16}_[0-9a-f]{8}$")


class Artifacts:
    """`folder`: made when it is first needed · `plain`: a value as JSON · `remote`: where content goes; None: the folder"""

    def __init__(
        self,
        folder: Path,
        tables: Tables,
        seal: Seal,
        plain: Callable[[Any], JSON],
        *,
        days: float = DAYS,
        remote: Store | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.folder = folder
        self._rows = Rows(tables)
        self._plain = plain
        self._days = days
        self._clock = clock
        self.seal = seal
        self._parquet = Parquet(folder)
        self._here = FolderStore(folder)
        self._remote = remote
        self._counting = threading.Lock()
        self._counts: dict[str, int] = {}
        self._counted_at = clock.monotonic()
        with translated(f"make {folder}"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)

    # -- keep ------------------------------------------------------------------------------------------------------

    def keep(
        self,
        kind: Kind,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]] | ArrowStream,
        *,
        query_id: str | None,
        title: str,
        customer: str,
        org_id: str | None = None,
        parent: str | None = None,
        chart: Chart | None = None,
        days: float | None = None,
    ) -> Artifact:
        """All the rows, durable when it returns. rows: tuples, or whatever gives an Arrow stream. days: how long, where it
        is not as long as usual

        Raises UnknownArtifact for a parent that is not there, UsageError for no columns or a chart of columns that are
        not there, and ArtifactError when the content cannot be written; then nothing is kept."""
        older = self.get(parent) if parent is not None else None
        now = self._clock.now()
        artifact_id = f"art_{self._clock.now_ns() // 1_000_000:x}_{self._clock.name()}"
        file = self.folder / f"{artifact_id}{SUFFIX}{NEW}"
        store = self._remote or self._here
        place = store.place(artifact_id)
        self._rows.announce(artifact_id, place, now + timedelta(seconds=KEEPING_SECONDS_MAX))
        try:
            written = self._parquet.write(columns, rows, file, SAMPLE_ROWS_MAX)
            _check(chart, written.columns)
            size, sha256 = _measured(file)
            store.put(place, file)
        except OSError as error:
            raise ArtifactError(
                f"cannot keep {artifact_id}: {error.strerror}.", "See that there is disk space."
            ) from None
        finally:
            with suppress(OSError):
                file.unlink(missing_ok=True)
        artifact = Artifact(
            artifact_id=artifact_id, created_at=now, customer=customer, org_id=org_id, kind=kind,
            title=" ".join(title.split())[:TITLE_CHARACTERS_MAX], row_count=written.row_count,
            column_count=len(written.columns), bytes=size, sha256=sha256, query_id=query_id,
            expires_at=now + timedelta(days=self._days if days is None else days), is_pinned=False, is_held=False, access_count=0,
            last_accessed_at=None, version=older.version + 1 if older else 1,
            parent_artifact_id=older.artifact_id if older else None, place=place, columns=written.columns,
            sample=sample(self._shown(written.first)), row_group_bytes=written.row_group_bytes, chart=chart, children=(),
        )  # fmt: skip
        self._rows.put(artifact)
        return artifact

    # -- give ------------------------------------------------------------------------------------------------------

    def latest(self, count: int = LISTED, query_id: str | None = None) -> list[Listed]:
        """The newest first; with `query_id`, those that answer this question."""
        self._write_counts()
        return self._rows.latest(max(1, min(count, LISTED_MAX)), query_id and query_id.removeprefix("cdesk:"))

    def get(self, artifact_id: str) -> Artifact:
        """Raises UnknownArtifact."""
        given = artifact_id.strip().removeprefix("artifact:")
        self._write_counts()
        found = self._rows.get(given) if _ID.match(given) else None
        if found is None:
            raise UnknownArtifact(
                f"there is no artifact {given[:60]!r}.", "`cdesk artifact list` shows those there are."
            )
        return found

    def page(self, artifact_id: str, cursor: str | None = None, limit: int = PAGE_ROWS) -> Page:
        """Raises UnknownArtifact, ContentMissing, and UsageError for a cursor of something else."""
        if not 1 <= limit <= PAGE_ROWS_MAX:
            raise UsageError(f"limit is a number of rows from 1 to {PAGE_ROWS_MAX:,}, not {limit}.")
        artifact = self.get(artifact_id)
        offset = 0 if cursor is None else self.seal.offset(artifact.artifact_id, cursor)
        rows: list[list[JSON]] = []
        room = PAGE_BYTES_MAX
        for row in self._each(artifact, offset, limit):
            room -= len(msgspec.json.encode(row)) + 1
            if room < 0 and rows:
                break
            rows.append(row)
        self.count_access(artifact.artifact_id)
        end = offset + len(rows)
        following = self.seal.cursor(artifact.artifact_id, end) if end < artifact.row_count else None
        return Page(artifact.artifact_id, artifact.columns, rows, offset, artifact.row_count, following)

    def file(self, artifact: Artifact) -> Path:
        """The Parquet file, on this machine. Raises ContentMissing."""
        return self._store(artifact.place).file(artifact.place, artifact.sha256)

    def rows(self, artifact: Artifact) -> Iterator[list[JSON]]:
        """All rows in order, as JSON has them; only some of them are in memory at a time."""
        return self._each(artifact, 0, None)

    def arrow(self, artifact: Artifact, out: IO[bytes]) -> None:
        """All rows as one Arrow IPC stream."""
        self._parquet.arrow(self.file(artifact), out)

    def count_access(self, artifact_id: str) -> None:
        """Somebody paged through it, or downloaded it."""
        with self._counting:
            self._counts[artifact_id] = self._counts.get(artifact_id, 0) + 1
        if self._clock.monotonic() - self._counted_at >= COUNTS_SECONDS:
            self._write_counts()

    def is_here(self, artifact: Listed) -> bool:
        """Whether its content is where its row says."""
        return self._store(artifact.place).has(artifact.place)

    def signed_by_store(self, artifact: Artifact, seconds: int, method: str = "GET") -> str | None:
        """A link to the Parquet file that the bucket answers itself; None for content in the folder."""
        return self._store(artifact.place).signed(artifact.place, method, seconds)

    # -- pin, hold, delete -----------------------------------------------------------------------------------------

    def pin(self, artifact_id: str, is_pinned: bool = True) -> Artifact:
        """What is pinned neither expires nor can be deleted."""
        artifact = self.get(artifact_id)
        self._rows.pin(artifact.artifact_id, is_pinned)
        return self.get(artifact.artifact_id)

    def hold(self, artifact_id: str, reason: str, placed_by: str) -> Artifact:
        """A legal hold: until it is released nobody deletes it. Raises UsageError without a reason."""
        reason = " ".join(reason.split())[:TITLE_CHARACTERS_MAX]
        if not reason:
            raise UsageError("a legal hold needs a reason.", "Name the matter it is for.")
        artifact = self.get(artifact_id)
        hold_id = f"hold_{self._clock.now_ns() // 1_000_000:x}_{self._clock.name()}"
        self._rows.hold(hold_id, artifact.artifact_id, reason, placed_by, self._clock.now())
        return self.get(artifact.artifact_id)

    def release(self, artifact_id: str) -> Artifact:
        """Ends the holds of this artifact; one of its whole customer stays."""
        artifact = self.get(artifact_id)
        if not self._rows.release(artifact.artifact_id, self._clock.now()):
            raise UsageError(
                f"{artifact.artifact_id} is not on hold itself.",
                "All of its customer is; that hold is released by who placed it." if artifact.is_held else "",
            )
        return self.get(artifact.artifact_id)

    def delete(self, artifact_id: str) -> Artifact:
        """Raises UsageError for one that is pinned or held."""
        artifact = self.get(artifact_id)
        if artifact.is_held:
            raise UsageError(
                f"{artifact.artifact_id} is on legal hold.", "It can be deleted when the hold is released."
            )
        if not self._rows.delete(artifact.artifact_id, self._clock.now()):
            raise UsageError(
                f"{artifact.artifact_id} is pinned.", f"First `cdesk artifact unpin {artifact.artifact_id}`."
            )
        self.sweep()
        return artifact

    def sweep(self) -> int:
        """Deletes content that is due. How much; what cannot be reached stays due."""
        done = [
            artifact_id for artifact_id, place in self._rows.due(self._clock.now()) if self._gone(artifact_id, place)
        ]
        if done:
            self._rows.done(done)
        return len(done)

    def _gone(self, artifact_id: str, place: Place) -> bool:
        try:
            self._here.delete(Place("", None, f"{artifact_id}{SUFFIX}{NEW}"))
            self._store(place).delete(place)
            return True
        except ArtifactError:
            return False

    def close(self) -> None:
        self._write_counts(is_last=True)
        self._parquet.close()

    # -- within ----------------------------------------------------------------------------------------------------

    def _store(self, place: Place) -> Store:
        if place.bucket is None:
            return self._here
        if self._remote is None:
            raise ArtifactError(
                f"the content is in bucket {place.bucket}, and the settings name none.",
                "Set [artifacts] url in config.toml.",
            )
        return self._remote

    def _each(self, artifact: Artifact, offset: int, count: int | None) -> Iterator[list[JSON]]:
        for batch in self._parquet.read(self.file(artifact), offset, count):
            yield from self._shown(batch)

    def _shown(self, rows: Sequence[Sequence[Any]]) -> list[list[JSON]]:
        plain = self._plain
        return [[plain(value) for value in row] for row in rows]

    def _write_counts(self, is_last: bool = False) -> None:
        """Who reads on would otherwise commit something for each page."""
        with self._counting:
            counts, self._counts = self._counts, {}
            self._counted_at = self._clock.monotonic()
        if not counts:
            return
        now = self._clock.now()
        try:
            self._rows.accessed([(artifact_id, count, now) for artifact_id, count in counts.items()])
        except CdeskError:
            if is_last:
                return
            with self._counting:
                for artifact_id, count in counts.items():
                    self._counts[artifact_id] = self._counts.get(artifact_id, 0) + count


def _check(chart: Chart | None, columns: Sequence[Column]) -> None:
    names = {column.name for column in columns}
    for name in filter(None, (chart.x, chart.y, chart.series) if chart else ()):
        if name not in names:
            raise UsageError(f"the chart has no column {name[:60]!r}.", f"There are: {', '.join(sorted(names))[:300]}.")


def _measured(file: Path) -> tuple[int, str]:
    with file.open("rb") as content:
        return file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()
