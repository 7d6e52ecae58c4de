"""The questions there are: cdesk's own templates and those of the home, and who may ask which.

    draft ──review──▶ reviewed ──activate──▶ active          any of them ──block──▶ blocked ──review──▶ reviewed

cdesk's own are active from the start; a file of the home is a draft, and again whenever its text has changed. Drafts and
what is only reviewed answer to owner and admin, what is active to the roles its header names, what is blocked to nobody.
Only owner and admin decide. Decisions are kept in QUESTION_DECISIONS, each with who, when and of which text.
"""

from __future__ import annotations

import threading
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from cdesk import observe
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueryRefused, UsageError
from cdesk.query import template as templates
from cdesk.query.template import Access, BadTemplate, Chart, Column, Parameter, Role, Template, compiled
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

State: TypeAlias = Literal["draft", "reviewed", "active", "blocked"]
STATES: tuple[State, ...] = get_args(State)
DECIDERS = frozenset({"owner", "admin"})
FILES_MAX = 500
REASON_CHARACTERS_MAX = 500


class Question(msgspec.Struct, frozen=True):
    """One question as it is offered. byte_cap: bytes it may have to read · cache_seconds: how long a recorded answer is
    given again · is_bundled: comes with cdesk · is_traced: it says which activities are behind a cell"""

    name: str
    title: str
    description: str
    version: int
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    chart: Chart | None
    roles: tuple[Role, ...]
    access: Access
    state: State
    byte_cap: int
    cache_seconds: float
    is_bundled: bool
    is_traced: bool


class Decision(msgspec.Struct, frozen=True):
    """checksum: of the file that was looked at, SHA-256 · at: UTC"""

    question: str
    checksum: str
    state: State
    by: str
    at: datetime
    reason: str | None


class QuestionShown(msgspec.Struct, frozen=True):
    """A question with its text and what was decided about it, the latest first."""

    question: Question
    sql: str
    checksum: str
    decisions: list[Decision]


class Unreadable(msgspec.Struct, frozen=True):
    """A file of the home that is no question."""

    file: str
    error: str


class Questions:
    """Of one home. folder: where its own templates are; it need not exist."""

    def __init__(self, warehouse: Warehouse, folder: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._bundled = {each.name: each for each in templates.load()}
        self._own: dict[str, Template] = {}
        self._unreadable: list[Unreadable] = []
        self._seen: object = None
        self._decisions: list[Decision] | None = None

    def all(self, role: Role = "owner") -> list[Question]:
        """Those the role may ask, by name."""
        return [self._offered(each) for each in self._templates() if self._may_ask(each, role)]

    @property
    def unreadable(self) -> list[Unreadable]:
        self._templates()
        return list(self._unreadable)

    def show(self, name: str) -> QuestionShown:
        """Raises UsageError."""
        template = self.template(name)
        mine = [each for each in self.decisions() if each.question == template.name]
        return QuestionShown(self._offered(template), template.text, template.checksum, mine[::-1])

    def template(self, name: str) -> Template:
        """Raises UsageError for an unknown one."""
        known = {each.name: each for each in self._templates()}
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else "`cdesk ask` lists them."
            broken = next((each for each in self._unreadable if each.file == f"{name}.sql"), None)
            raise UsageError(f"there is no question {name[:60]!r}.", broken.error if broken else hint)
        return known[name]

    def allowed(self, name: str, role: Role) -> Template:
        """The template, if the role may ask it now. Raises UsageError and QueryRefused."""
        template = self.template(name)
        state = self.state(template)
        if state == "blocked":
            last = self._last(name)
            why = f": {last.reason}" if last and last.reason else ""
            raise QueryRefused(f"{name} is blocked{why}.", f"An owner may lift it: `cdesk template review {name}`.")
        if not self._may_ask(template, role):
            who = ", ".join(template.roles) if state == "active" else ", ".join(sorted(DECIDERS))
            raise QueryRefused(f"{name} is {state} and not for the role {role}.", f"It answers to: {who}.")
        return template

    def state(self, template: Template) -> State:
        last = self._last(template.name)
        if last is not None and (last.state == "blocked" or last.checksum == template.checksum):
            return last.state
        return "active" if template.is_bundled else "draft"

    def decide(self, name: str, state: State, *, by: str, role: Role, reason: str | None = None) -> QuestionShown:
        """Raises UsageError for what cannot follow, QueryRefused for who may not decide."""
        if role not in DECIDERS:
            raise QueryRefused(f"the role {role} does not decide about questions.", "Ask an owner or admin.")
        if reason is not None and len(reason) > REASON_CHARACTERS_MAX:
            raise UsageError(f"a reason has at most {REASON_CHARACTERS_MAX} characters.")
        template = self.template(name)
        if state == "active" and not (template.is_bundled or self._was_reviewed(template)):
            raise UsageError(f"{name} was not reviewed as it is now.", f"First `cdesk template review {name}`.")
        sql, names = prepared("question_decide")
        values = {
            "question": name, "checksum": template.checksum, "state": state, "by": by, "reason": reason,
            "now": self._clock.now().replace(tzinfo=None),
        }  # fmt: skip
        with self._lock:
            self._warehouse.query(sql, [values[each] for each in names])
            self._decisions = None
        return self.show(name)

    def decisions(self) -> list[Decision]:
        """All of them, in order."""
        with self._lock:
            if self._decisions is None:
                sql, _ = prepared("question_decisions")
                self._decisions = [Decision(*row) for row in self._warehouse.query(sql).rows]
            return self._decisions

    def _last(self, name: str) -> Decision | None:
        return next((each for each in reversed(self.decisions()) if each.question == name), None)

    def _was_reviewed(self, template: Template) -> bool:
        return any(
            each.question == template.name and each.checksum == template.checksum and each.state == "reviewed"
            for each in self.decisions()
        )

    def _may_ask(self, template: Template, role: Role) -> bool:
        match self.state(template):
            case "blocked":
                return role in DECIDERS
            case "active":
                return role in template.roles
            case _:
                return role in DECIDERS

    def _offered(self, template: Template) -> Question:
        return Question(
            name=template.name, title=template.title, description=template.description, version=template.version,
            parameters=template.parameters, columns=template.columns, chart=template.chart, roles=template.roles,
            access=template.access, state=self.state(template), byte_cap=template.byte_cap,
            cache_seconds=template.cache_seconds, is_bundled=template.is_bundled, is_traced=template.behind is not None,
        )  # fmt: skip

    # -- files of the home -----------------------------------------------------------------------------------------

    def _templates(self) -> list[Template]:
        """Files are read again when one came, went or changed."""
        with self._lock:
            seen = _looks(self._folder)
            if seen != self._seen:
                self._own, self._unreadable = self._read(sorted(path for path, *_ in seen))
                self._seen = seen
            return sorted({**self._own, **self._bundled}.values(), key=lambda each: each.name)

    def _read(self, paths: list[Path]) -> tuple[dict[str, Template], list[Unreadable]]:
        found: dict[str, Template] = {}
        wrong: list[Unreadable] = []
        for path in paths:
            try:
                found[path.stem] = _checked(path, self._bundled)
            except BadTemplate as error:
                wrong.append(Unreadable(path.name, str(error)))
                observe.event("warning", "question_unreadable", file=path.name, error=str(error))
        return found, wrong


def _looks(folder: Path) -> list[tuple[Path, int, int]]:
    try:
        paths = sorted(folder.glob("*.sql"))[:FILES_MAX]
        return [(path, stat.st_mtime_ns, stat.st_size) for path in paths for stat in [path.stat()]]
    except OSError:
        return []


def _checked(path: Path, taken: dict[str, Any]) -> Template:
    """Raises BadTemplate. What somebody writes may read what SQL from outside may, and no more."""
    from cdesk.query.guard import guarded
    from cdesk.sql.dialect import UnsupportedSQL

    if path.stem in taken:
        raise BadTemplate(f"{path.name}: cdesk has a question of this name.", "Give it another.")
    template = templates.read(path, is_bundled=False)
    for statement in filter(None, (template.ask, template.behind)):
        try:
            guarded(compiled(statement))
        except ValueError as error:
            raise BadTemplate(f"{path.name}: {error}.", "docs/ask.md shows the form.") from None
        except (UnsupportedSQL, QueryRefused) as error:
            raise BadTemplate(f"{path.name}: {error}") from None
    return template
