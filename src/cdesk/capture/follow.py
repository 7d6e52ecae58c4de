"""Follows live transcripts: whatever Claude Code appends is read within a moment, from where it was left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from cdesk import observe
from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks
from cdesk.errors import CdeskError

DEBOUNCE_MS = 200
SWEEP_SECONDS = 60.0
AGAIN_SECONDS = 3.0
TRANSCRIPT = ".jsonl"


class Follower:
    """Watches `projects` folders. Change notices can be lost, so a sweep now and then looks at everything.

    `dirs` is asked again after every sweep: Claude Code may be used for the first time while we run.
    """

    def __init__(self, dirs: Callable[[], list[Path]], backfill: Backfill, bookmarks: Bookmarks) -> None:
        self._dirs = dirs
        self._backfill = backfill
        self._bookmarks = bookmarks
        self._stop = threading.Event()
        self._again = threading.Event()
        self.progress = Progress()

    def run(self) -> None:
        """Until `stop`. A failure (the queue is full, say) is told, and what was missed is read by the next sweep."""
        while not self._stop.is_set():
            try:
                self._again.clear()
                roots = self._dirs()
                self._backfill.run(roots, self._bookmarks, resume=True)
                self._watch(roots)
            except (CdeskError, OSError) as error:
                observe.event("warning", "follow_failed", error=str(error))
                self._stop.wait(AGAIN_SECONDS)

    def _watch(self, roots: list[Path]) -> None:
        """Returns when it is time for a sweep."""
        if not roots:
            self._stop.wait(AGAIN_SECONDS)
            return
        for changes in watchfiles.watch(
            *roots,
            watch_filter=_matters,
            debounce=DEBOUNCE_MS,
            step=50,
            rust_timeout=int(SWEEP_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=self,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            paths = sorted({path for _, path in changes})
            if not paths or any(not path.endswith(TRANSCRIPT) for path in paths):
                return  # what was written into a folder before it was watched is told by nobody
            for path in paths:
                if Path(path).is_file():
                    self._backfill.read(Path(path), self._bookmarks, self.progress)
            self._bookmarks.save()

    def sweep(self) -> None:
        """Looks at everything now, not only when it is time."""
        self._again.set()

    def is_set(self) -> bool:
        """For the watching itself: whether it should end."""
        return self._stop.is_set() or self._again.is_set()

    def stop(self) -> None:
        self._stop.set()


def _matters(change: watchfiles.Change, path: str) -> bool:
    """Transcripts, and new folders, which may hold some already."""
    if "/projects" not in path:
        return False
    return path.endswith(TRANSCRIPT) or (change is watchfiles.Change.added and Path(path).is_dir())
