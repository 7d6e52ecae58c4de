"""Keeps the context cache up to date: what changed is built anew, and what somebody wishes.

    task done ──wake──▶ look ──▶ whose rows changed? ──▶ which of their contexts are in use? ──▶ build ──▶ keep
    wishes/   ──0.5 s─▶

A change is built when the tasks that contexts are made from have taken it in, once for each of them. Contexts are in use
that are in the cache, or wished for; a project that is new to a customer in use gets its default one. So ten thousand
customers in the cache cost nothing until something of theirs changes, and then at most KEYS_AT_ONCE a look.

Limits first: a change that was taken note of just before the process died is not built by it; the context is stale half
a minute later, and its next reader wishes for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress

from cdesk import observe
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.context.cache import ContextCache
from cdesk.context.model import Context, ContextKey
from cdesk.errors import CdeskError
from cdesk.insight.context import ContextBuilder, atom_project, json_object
from cdesk.insight.text import text
from cdesk.observe import Effort, unmeasured
from cdesk.warehouse.duckdb.changes import Changes
from cdesk.warehouse.warehouse import ATOMS, STREAM, Stream

LOOK_SECONDS = 0.5
"""How soon a wish is seen; a look that finds nothing asks for the time of one folder."""
REST = 9.0
"""A look is followed by a pause of so many times what it took: building has a tenth of the time at most."""
REST_SECONDS_MIN = 0.25
AGAIN_SECONDS = 5.0
TELL_SECONDS = 2.0
KEYS_AT_ONCE = 100
NEWEST_MAX = 50
"""Contexts built for nobody in particular when the cache is new, or was lost."""
JUST_BUILT_SECONDS = 1.0
"""A wish that crossed with its fulfilment is fulfilled."""
CLOCK_STEP_SECONDS = 1.0
SETTLED_SECONDS = 1.0
"""Two changes of a folder in one tick of the file system's clock look like one."""

CHANGES = Stream("BUILD_CONTEXTS_CHANGES", STREAM, "standard", True)
"""Its first look gives everything, as that of tasks: one that began with what comes then would have a first import keep
old images."""
ATOM_CHANGES = Stream("BUILD_CONTEXTS_ATOMS", ATOMS, "standard", False)
MADE_FROM = ("REFRESH_CONTEXT_INPUTS_CHANGES", "ROLL_UP_ACTIVITY_CHANGES")
"""Streams of the tasks whose tables contexts are made from."""

Place = tuple[str, str | None]
"""A customer and a project."""


class ContextFollower:
    """One thread, asleep but for a look at a folder twice a second. Tasks must be known before it starts."""

    def __init__(
        self,
        changes: Changes,
        builder: ContextBuilder,
        cache: ContextCache,
        *,
        tell: Callable[[], None] = lambda: None,
        measured: Callable[[], AbstractContextManager[Effort]] = unmeasured,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """tell: called when tables may have changed, after what is due was built
        measured: goes around each look, and learns whether there was anything to do"""
        self._changes = changes
        self._builder = builder
        self._cache = cache
        self._tell = tell
        self._measured = measured
        self._clock = clock
        self._building = threading.Lock()
        self._woken = threading.Event()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: dict[str, dict[Place, int]] = {stream: {} for stream in MADE_FROM}
        self._due: dict[ContextKey, None] = {}
        self._wishes_seen: int | None = None
        self._wants_newest = True
        self._clock_was = 0.0
        self._is_untold, self._told_at = False, float("-inf")

    def open(self) -> None:
        """From here on changes are kept for it, and nothing is told that was made under another consent. Raises
        WarehouseError."""
        self._changes.open([CHANGES, ATOM_CHANGES])
        with suppress(CdeskError):  # a cache that cannot be written is tried again at each look
            self._wants_newest |= self._cache.take_note()

    def start(self) -> None:
        self.open()
        self._thread = threading.Thread(target=self._run, name="cdesk-context", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may have changed."""
        self._woken.set()

    def stop(self) -> None:
        self._is_stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
        self._cache.close()

    def now(self, key: ContextKey) -> Context:
        """Built at once, for somebody who cannot do without. Raises WarehouseError; a cache that cannot be written is
        no reason not to answer."""
        with self._building:
            [context] = self._builder.build([key])
            with suppress(CdeskError):
                self._cache.keep([context])
                self._cache.wishes.done(key)
        return context

    def _run(self) -> None:
        is_first = True
        while not self._is_stopping.is_set():
            begun = self._clock.monotonic()
            try:
                is_news = is_first or self._woken.is_set()
                if is_news:
                    self._woken.clear()
                    is_first = False
                with self._measured() as effort:
                    effort.counts = has_worked = self.look(is_news)
            except Exception as error:  # contexts stay as old as they say they are, and it is tried again
                observe.event("warning", "context_waits", error=f"{type(error).__name__}: {error}")
                self._is_stopping.wait(AGAIN_SECONDS)
                self._woken.set()
                continue
            took = self._clock.monotonic() - begun
            if has_worked or is_news:
                self._is_stopping.wait(max(REST_SECONDS_MIN, REST * took))
            if not self._due:
                self._woken.wait(LOOK_SECONDS)

    def look(self, is_news: bool = True) -> bool:
        """Whether there was anything to do. is_news: tables may have changed since the last look."""
        self._wants_newest |= self._cache.take_note()
        self._mind_the_clock()
        if is_news:
            self._take_changes()
            self._add(self._ready())
        if self._wants_newest and (is_news or self._due):
            newest = self._builder.newest(NEWEST_MAX)
            self._wants_newest = not newest
            self._add(newest)
        wished = self._wished()
        self._due = {**dict.fromkeys(wished), **self._due}
        keys = list(self._due)[:KEYS_AT_ONCE]
        if keys:
            self._build(keys)
        self._is_untold |= is_news
        if self._is_untold and self._clock.monotonic() >= self._told_at + TELL_SECONDS:
            self._is_untold, self._told_at = False, self._clock.monotonic()
            self._tell_news()
        return bool(keys)

    def _tell_news(self) -> None:
        """A figure that waits for the next change is no reason to build contexts later."""
        try:
            self._tell()
        except (CdeskError, OSError) as error:
            observe.event("warning", "today_waits", error=str(error))

    def _build(self, keys: list[ContextKey]) -> None:
        try:
            with self._building:
                self._cache.keep(self._builder.build(keys))
        except CdeskError:
            raise  # they stay due
        except Exception as error:  # one that cannot be built does not keep the others from it for ever
            observe.event("error", "context_failed", error=f"{type(error).__name__}: {error}")
        for key in keys:
            self._due.pop(key, None)
            self._cache.wishes.done(key)

    def _add(self, keys: Iterable[ContextKey]) -> None:
        self._due.update(dict.fromkeys(keys))

    def _mind_the_clock(self) -> None:
        wall, steady = self._clock.now_ns() / 1e9, self._clock.monotonic()
        if wall - steady < self._clock_was - CLOCK_STEP_SECONDS or not self._clock_was:
            self._cache.mind_the_clock()
        self._clock_was = wall - steady

    # -- wishes ----------------------------------------------------------------------------------------------------

    def _wished(self) -> list[ContextKey]:
        """Read when the folder has changed since; a wish that stays, because its context could not be made, too."""
        changed = self._cache.wishes.changed_ns()
        if changed in (None, self._wishes_seen):
            return []
        found = self._cache.wishes.look()
        now = self._clock.now_ns() / 1e9
        open_ = []
        for key in found:
            built = self._cache.built_at(key)
            if built is not None and 0 <= now - built < JUST_BUILT_SECONDS:
                self._cache.wishes.done(key)
            else:
                open_.append(key)
        is_settled = not found and abs(now - changed / 1e9) > SETTLED_SECONDS
        self._wishes_seen = changed if is_settled else None
        return open_

    # -- changes ---------------------------------------------------------------------------------------------------

    def _take_changes(self) -> None:
        if min(self._changes.offset(stream) for stream in MADE_FROM) < 0:
            return  # tasks have not looked yet: until they have, loading is cheaper
        if self._changes.has_data(CHANGES.name):
            with self._changes.consume([CHANGES]) as unit:
                sql = text("context_changed").format(changes=CHANGES.name)
                places = [(row[0], row[1]) for row in unit.cursor.execute(sql).fetchall()]
                seq = unit.seen[STREAM]
            for waiting in self._waiting.values():
                waiting.update(dict.fromkeys(places, seq))
        if self._changes.has_data(ATOM_CHANGES.name):
            with self._changes.consume([ATOM_CHANGES]) as unit:
                sql = text("context_atoms_changed").format(changes=ATOM_CHANGES.name)
                rows = unit.cursor.execute(sql).fetchall()
            self._add(self._of_atoms(rows))

    def _ready(self) -> list[ContextKey]:
        """What is in use of the places whose changes a task has taken in."""
        ready: set[Place] = set()
        for stream, waiting in self._waiting.items():
            done = self._changes.offset(stream)
            taken = [place for place, seq in waiting.items() if seq <= done]
            for place in taken:
                del waiting[place]
            ready.update(taken)
        return self._in_use(ready)

    def _in_use(self, places: set[Place]) -> list[ContextKey]:
        kept = self._cache.keys_of({customer for customer, _ in places})
        found = [key for key in kept if key.project_path is None or (key.customer, key.project_path) in places]
        customers = {key.customer for key in kept}
        known = {(key.customer, key.project_path) for key in kept}
        new = sorted((c, p) for c, p in places - known if p is not None and c in customers)
        return [*found, *(ContextKey(customer, project) for customer, project in new)]

    def _of_atoms(self, rows: list[tuple[str, str | None, str | None]]) -> list[ContextKey]:
        """Words that name no project are told in all of them."""
        places: set[Place] = set()
        everywhere: set[str] = set()
        for customer, about, how in rows:
            derivation = json_object(how)
            project = atom_project(json_object(about), derivation)
            places.add((customer, project))
            if project is None and derivation.get("statement"):
                everywhere.add(customer)
        kept = self._cache.keys_of({customer for customer, _ in places})
        return [
            key for key in kept
            if key.project_path is None or key.customer in everywhere or (key.customer, key.project_path) in places
        ]  # fmt: skip
