"""A service on loopback with rows of a test's own, for the page's tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from tests import blank

from cdesk.activity.catalog import CATALOG
from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import Home, PersonSettings, Settings
from cdesk.surface.http import service

TOKEN = "a token for tests"
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


@dataclass
class Served:
    app: App
    url: str
    client: httpx.Client
    """Sends the token."""
    is_rolled: bool = False
    """Half of what is put is rolled up, half is not yet."""

    def put(self, *activities: dict[str, Any]) -> None:
        """Into the warehouse, before it comes back."""
        half = len(activities) // 2 if self.is_rolled else 0
        if half:
            self._put(activities[:half])
            self.app.tasks.run("roll_up_activity")
        self._put(activities[half:])

    def _put(self, activities: Sequence[dict[str, Any]]) -> None:
        receipt = self.app.intake.take(list(activities))
        assert not receipt.rejected, receipt.rejected
        self.app.uploader.drain()

    def get(self, path: str, **given: Any) -> Any:
        answer = self.client.get(f"/v1/page/{path}", params=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def link(self) -> str:
        """A login link, as `cdesk open` prints it."""
        return self.url + str(self.client.post("/v1/page/key").json()["path"])


def held(at: datetime) -> Clock:
    return Clock(now_ns=lambda: int(at.timestamp()) * 1_000_000_000)


@contextmanager
def serve(
    folder: Path, clock: Clock = SYSTEM_CLOCK, *, is_uploading: bool = False, settings: Settings | None = None
) -> Iterator[Served]:
    environment = {"HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder / "claude")}
    settings = settings or Settings(person=PersonSettings(customer="ada@example.org"))
    blank.put(folder / "warehouse")
    app = App(Home(folder), settings, environment, clock=clock)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    asgi = service.create(app, TOKEN, port, Progress(), lambda: server.should_exit)
    server = uvicorn.Server(uvicorn.Config(asgi, log_config=None, lifespan="off", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    if is_uploading:
        app.start()
    thread.start()
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
            yield Served(app, url, client)
    finally:
        server.should_exit = True
        thread.join()
        app.close()


# -- rows ----------------------------------------------------------------------------------------------------------


def row(activity: str, at: datetime, session: str = "s1", **features: Any) -> dict[str, Any]:
    cost = features.get("cost_usd")
    return {
        "activity": activity, "ts": at.isoformat(), "customer": "ada@example.org", "_session_id": session,
        "activity_id": sha256(repr((activity, session, at, sorted(features.items(), key=str))).encode()).hexdigest(),
        "feature_json": {**required(activity), "project_path": "/work/alpha", **features}, "revenue_impact": cost,
    }  # fmt: skip


def required(activity: str) -> dict[str, Any]:
    """What an activity must have, so that it keeps the catalog's contract."""
    declared = CATALOG.get(activity)
    return (
        {f.name: {"string": "s", "boolean": True}[f.kind] for f in declared.features if f.required} if declared else {}
    )


def answer(at: datetime, cost: float | None, session: str = "s1", **features: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "model": "claude-opus-5-5", "prompt_tokens": 100, "completion_tokens": 50, "cache_creation_tokens": 0,
        "cache_creation_5m_tokens": 0, "cache_creation_1h_tokens": 0, "cache_read_tokens": 850, "total_tokens": 1000,
        "is_counted": True, "cost_usd": cost,
    }  # fmt: skip
    return row("claude_responded", at, session, **{**told, **features})


def call(at: datetime, success: bool | None, session: str = "s1", **features: Any) -> dict[str, Any]:
    told = {"tool_name": "Bash", "tool_use_id": f"toolu_{at.timestamp()}", "success": success}
    return row("tool_called", at, session, **{**told, **features})


def prompt(at: datetime, text: str, session: str = "s1", **features: Any) -> dict[str, Any]:
    return row("user_asked", at, session, **{"prompt_text": text, "prompt_kind": "human", **features})


def ago(**back: float) -> datetime:
    return NOW - timedelta(**back)
