"""Questions and citations, asked of the running service, or of the warehouse itself where none runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec

from cdesk import config
from cdesk.cli.client import Client, connect

if TYPE_CHECKING:
    from cdesk.app import App

DECISIONS = {"review": "reviewed", "activate": "active", "block": "blocked"}


class Desk(Protocol):
    """Every answer is plain JSON; all raise CdeskError."""

    def questions(self, role: str) -> dict[str, Any]: ...

    def question(self, name: str) -> dict[str, Any]: ...

    def ask(self, name: str, asked: dict[str, Any]) -> dict[str, Any]: ...

    def decide(self, name: str, decision: str, reason: str | None) -> dict[str, Any]: ...

    def explain(self, asked: dict[str, Any]) -> dict[str, Any]: ...


class _Service:
    def __init__(self, client: Client) -> None:
        self._client = client

    def questions(self, role: str) -> dict[str, Any]:
        return dict(self._client.get(f"/v1/questions?role={role}"))

    def question(self, name: str) -> dict[str, Any]:
        return dict(self._client.get(_path(name)))

    def ask(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(self._client.post(_path(name), asked))

    def decide(self, name: str, decision: str, reason: str | None) -> dict[str, Any]:
        return dict(self._client.post(f"{_path(name)}/{decision}", {"reason": reason}))

    def explain(self, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(self._client.post("/v1/explain", asked))


class _House:
    def __init__(self, app: App) -> None:
        self._app = app

    def questions(self, role: Any) -> dict[str, Any]:
        known = self._app.questions
        return dict(msgspec.to_builtins({"questions": known.all(role), "unreadable": known.unreadable}))

    def question(self, name: str) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self._app.questions.show(name)))

    def ask(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        from cdesk.query.ask import AskRequest

        return dict(msgspec.to_builtins(self._app.ask(name, msgspec.convert(asked, AskRequest))))

    def decide(self, name: str, decision: str, reason: str | None) -> dict[str, Any]:
        state: Any = DECISIONS[decision]
        by = self._app.person.customer
        return dict(msgspec.to_builtins(self._app.questions.decide(name, state, by=by, role="owner", reason=reason)))

    def explain(self, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self._app.explain(**asked)))


@contextmanager
def desk() -> Iterator[Desk]:
    """The warehouse is opened with everything that waited taken in, and what rests on it up to date."""
    client = connect(config.home())
    if client is not None:
        yield _Service(client)
        return
    from cdesk.app import opened_app

    with opened_app(with_tasks=True) as app:
        yield _House(app)


def _path(name: str) -> str:
    return f"/v1/questions/{quote(name, safe='')}"
