"""What Claude is told, in one answer for the page: every line with why it was chosen, and each time it was told.

    GET  /v1/page/context            project, kind    where somebody worked, the context there, when Claude was told, what is silenced
    GET  /v1/page/context/source     citation         what stands behind a line
    POST /v1/page/context/{act}                       the acts of /v1/insights that ACTS names, as they are

Limits first: the latest PLACES_MAX projects, TOLD times and SILENCED_MAX silenced insights. The context comes from the
cache, however old; only one that was never made is built for the answer.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from cdesk.app import App
from cdesk.capture.answer import CHARACTERS_MAX, Amount
from cdesk.context.cache import Place
from cdesk.context.model import KINDS, Context, ContextKey, Statement
from cdesk.context.text import rendered
from cdesk.query.explain import Explanation, explain
from cdesk.query.insights import FOUND_MAX, Explained, Insight
from cdesk.query.told import Telling, Tellings
from cdesk.surface import context
from cdesk.surface.context import ContextHead
from cdesk.surface.http import insights

PATH = "/v1/page/context"
ACTS = (f"{insights.PATH}/{{id}}/corrections",)
PLACES_MAX = 100
SILENCED_MAX = 50


class ScoredLine(Statement, frozen=True):
    """A statement. is_told: it has room in what a hook tells when a session begins; the rest Claude gets when it asks"""

    is_told: bool


class ContextShown(ContextHead, frozen=True):
    """A context, line by line, the best first."""

    lines: list[ScoredLine]


class ToldPage(msgspec.Struct, frozen=True, kw_only=True):
    """places: where this person worked, the latest first · hook: how much hooks tell · characters: at most so many, when a
    session begins · told: the latest times · silenced: insights that are kept from Claude here"""

    places: list[Place]
    context: ContextShown
    hook: Amount
    characters: int
    told: list[Telling]
    silenced: list[Insight]


class Behind(msgspec.Struct, frozen=True):
    """What stands behind a citation. insight: of an atom, with what is known of it"""

    explanation: Explanation
    insight: Explained | None


class ToldDesk:
    def __init__(self, app: App) -> None:
        self._app = app
        self._tellings = Tellings(app.warehouse, clock=app.clock)

    @property
    def acts(self) -> list[Route]:
        known = {route.path: route for route in insights.routes(self._app) if "POST" in (route.methods or ())}
        return [Route(at_page(path), known[path].endpoint, methods=["POST"]) for path in ACTS]

    def read(self, project: str | None = None, kind: str | None = None) -> ToldPage:
        """project: None for all together. Raises UsageError, WarehouseError."""
        app = self._app
        key = context.key(app, None, project, kind)
        found = context.of_app(app, key)
        known = Context(key, found.statements, found.built_at, found.data_as_of, found.version)
        head = {name: getattr(found, name) for name in ContextHead.__struct_fields__}
        hook = app.settings.context.hook
        return ToldPage(
            places=app.told.places(key.customer, PLACES_MAX), hook=hook, characters=CHARACTERS_MAX[hook],
            context=ContextShown(**head, lines=self._lines(known, CHARACTERS_MAX[hook])),
            told=self._tellings.latest(key.customer, key.project_path), silenced=self._silenced(key),
        )  # fmt: skip

    def source(self, citation: str) -> Behind:
        """Raises UsageError, WarehouseError."""
        found = explain(self._app.warehouse, citation)
        is_insight = found.is_a == "insight"
        return Behind(found, self._app.insights.explain(str(found.said["id"])) if is_insight else None)

    def _lines(self, known: Context, characters: int) -> list[ScoredLine]:
        """Hooks tell the default kind."""
        is_told = known.key.kind == KINDS[0]
        text = rendered(known, self._app.clock.now_ns() / 1e9, characters) if is_told and characters else ""
        return [ScoredLine(**msgspec.structs.asdict(one), is_told=one.text in text) for one in known.statements]

    def _silenced(self, key: ContextKey) -> list[Insight]:
        found = self._app.insights.find(customer=key.customer, state="silenced", count=FOUND_MAX)
        here = (key.project_path, None)
        return [one for one in found if key.project_path is None or one.project_path in here][:SILENCED_MAX]


def at_page(path: str) -> str:
    """Where the page finds an act of the service."""
    return PATH + path.removeprefix("/v1")
