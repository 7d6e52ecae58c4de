"""`cdesk open`: the page in the browser, by a link that lets one browser in."""

from __future__ import annotations

import os
import sys

from cdesk import config
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import ServiceError


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "open", "Opens the page in the browser. The link works once, within ten minutes; the browser stays welcome for\n"
        "thirty days, for looking only.",
    )  # fmt: skip
    parser.add_argument("--print", action="store_true", help="only print the link")
    parser.add_argument("--sample", action="store_true", help="the one with the sample data")
    given = parser.parse_args(arguments)
    home = config.sample_home() if given.sample else config.home()
    client = connect(home)
    if client is None:
        raise ServiceError("the service is not running.", f"Start it: `cdesk up{' --sample' if given.sample else ''}`.")
    address = link(client)
    if not given.print and _has_screen() and _opens(address):
        print(f"Opened http://127.0.0.1:{client.record.port}/ in the browser.")
    else:
        print(address)
    return 0


def link(client: Client) -> str:
    """Raises ServiceError."""
    return f"http://127.0.0.1:{client.record.port}{client.post('/v1/page/key', {})['path']}"


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _opens(address: str) -> bool:
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
