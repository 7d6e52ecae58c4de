"""Follows live transcripts: whatever Claude Code appends is read within a moment, from where it was left."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import watchfiles

from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks

DEBOUNCE_MS = 200
SWEEP_SECONDS = 60.0
TRANSCRIPT = ".jsonl"


class Follower:
    """Watches `projects` folders. Change notices can be lost, so a sweep now and then looks at everything."""

    def __init__(self, claude_dirs: Iterable[Path], backfill: Backfill, bookmarks: Bookmarks) -> None:
        self._dirs = list(claude_dirs)
        self._backfill = backfill
        self._bookmarks = bookmarks
        self._stop = threading.Event()
        self.progress = Progress()

    def run(self) -> None:
        """Until `stop`."""
        self._sweep()
        roots = [root for root in self._dirs if root.is_dir()]
        if not roots:
            self._stop.wait()
            return
        for changes in watchfiles.watch(
            *roots,
            watch_filter=_matters,
            debounce=DEBOUNCE_MS,
            step=50,
            rust_timeout=int(SWEEP_SECONDS * 1000),
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            paths = sorted({path for _, path in changes})
            if not paths or any(not path.endswith(TRANSCRIPT) for path in paths):
                self._sweep()  # what was written into a folder before it was watched is told by nobody
                continue
            for path in paths:
                if Path(path).is_file():
                    self._backfill.read(Path(path), self._bookmarks, self.progress)
            self._bookmarks.save()

    def stop(self) -> None:
        self._stop.set()

    def _sweep(self) -> None:
        self._backfill.run(self._dirs, self._bookmarks, resume=True)


def _matters(change: watchfiles.Change, path: str) -> bool:
    """Transcripts, and new folders, which may hold some already."""
    if "/projects" not in path:
        return False
    return path.endswith(TRANSCRIPT) or (change is watchfiles.Change.added and Path(path).is_dir())
