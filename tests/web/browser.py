"""A browser that notices everything it should not see: scripts that ran, dialogs, errors, requests to elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.surface.page_service import Served

from cdesk.surface.web import DIST

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SENSOR = """
window.__ran = [];
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => { window.__ran.push(name); };
window.xss = (name) => { window.__ran.push(name || "xss"); };
"""


@dataclass
class Watched:
    """A page, let in already. `calm` fails on anything that should not have happened."""

    page: Any
    url: str
    noticed: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        self.page.goto(self.url + path)

    def calm(self) -> None:
        assert self.page.evaluate("window.__ran") == []
        assert self.noticed == []


@contextmanager
def chromium() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs chromium: apt-get install chromium")
    if not (DIST / "index.html").exists():
        pytest.skip("needs the built page: make web")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def watched(browser: Any, served: Served, *, is_let_in: bool = True, **options: Any) -> Iterator[Watched]:
    context = browser.new_context(
        **{"timezone_id": "Europe/Berlin", "viewport": {"width": 1280, "height": 900}, **options}
    )
    context.set_default_timeout(10_000)
    context.add_init_script(SENSOR)
    seen = Watched(context.new_page(), served.url)
    _notice(seen)
    if is_let_in:
        seen.page.goto(served.link())
    try:
        yield seen
    finally:
        context.close()


def _notice(seen: Watched) -> None:
    def dialog(opened: Any) -> None:
        seen.noticed.append(f"dialog: {opened.message}")
        opened.dismiss()

    def console(told: Any) -> None:
        if told.type in ("error", "warning"):
            seen.noticed.append(f"console: {told.text}")

    def request(asked: Any) -> None:
        if not asked.url.startswith(seen.url):
            seen.noticed.append(f"request: {asked.url}")

    seen.page.on("dialog", dialog)
    seen.page.on("console", console)
    seen.page.on("request", request)
    seen.page.on("pageerror", lambda error: seen.noticed.append(f"error: {error}"))
