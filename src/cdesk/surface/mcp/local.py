"""The desk of one session's own process: contexts from the cache file, facts into the queue, the rest from the service."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cdesk.activity.model import Activity, Person
from cdesk.errors import ServiceError
from cdesk.surface.mcp.desk import Caller

if TYPE_CHECKING:
    from cdesk.app import Producer
    from cdesk.config import Home, Settings
    from cdesk.context.cache import ContextReader
    from cdesk.context.model import Context, ContextKey

FOLDER_CHARACTERS_MAX = 4_096
AWAKE_SECONDS = 1.0
"""A service that hangs is found out before it is asked anything that may take longer."""


class Service(Protocol):
    def check_awake(self, seconds: float) -> None: ...

    def get(self, path: str) -> Any: ...

    def post(self, path: str, body: Any) -> Any: ...


class LocalDesk:
    """Opens each thing when it is first needed. `service`: the running one of a home, None without one."""

    def __init__(
        self,
        service: Callable[[Home], Service | None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.caller = caller(environment)
        self._environment = environment
        self._service = service
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._contexts: ContextReader | None = None

    @cached_property
    def _who(self) -> Person:
        from cdesk.capture.person import person

        return person(self.settings.person, self.home.path)

    def prepare(self) -> None:
        """Finds out who the person is, and opens the cache. Raises CdeskError."""
        self.person()
        self._reader()

    def person(self) -> Person:
        return self._who

    @cached_property
    def home(self) -> Home:
        from cdesk import config

        return config.home(self._environment)

    @cached_property
    def settings(self) -> Settings:
        from cdesk import config

        return config.load(self.home)

    def timezone(self) -> str:
        from cdesk.clock import local_timezone

        return local_timezone()

    def is_served(self) -> bool:
        return self._service(self.home) is not None

    def context(self, key: ContextKey) -> Context | None:
        return self._reader().read(key)

    def want(self, key: ContextKey) -> bool:
        return self._reader().want(key)

    def rendered(self, context: Context, now: float, characters_max: int) -> str:
        from cdesk.context.text import rendered

        return rendered(context, now, characters_max)

    def admit(self, activities: Sequence[Activity]) -> int:
        with self._lock:
            if self._producer is None:
                from cdesk.app import Producer

                self._producer = Producer(self.home, self.settings)
                self._producer.watch.look()
            gate = self._producer.gate
        return gate.admit(activities)

    def ask(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        service = self._service(self.home)
        if service is None:
            raise ServiceError("cdesk's service is not running, and this needs it.", "Start it with `cdesk up`.")
        service.check_awake(AWAKE_SECONDS)
        return dict(service.post(path, asked) if asked else service.get(path))

    def close(self) -> None:
        if self._contexts is not None:
            self._contexts.close()
        if self._producer is not None:
            self._producer.close()

    def _reader(self) -> ContextReader:
        from cdesk.context.cache import ContextReader

        if self._contexts is None:
            self._contexts = ContextReader(self.home.context)
        return self._contexts


def caller(environment: Mapping[str, str]) -> Caller:
    """What Claude Code tells the servers it starts; another client starts us in its own folder."""
    session = environment.get("CLAUDE_CODE_SESSION_ID") or None
    project = environment.get("CLAUDE_PROJECT_DIR") or _folder()
    return Caller(session, None if project == "/" else project[:FOLDER_CHARACTERS_MAX])


def _folder() -> str:
    """Where we were started; the root is no project, and neither is a folder that is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return "/"
