"""`cdesk collector`: who may send to this collector, and on a laptop, which collector it sends to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from cdesk import config
from cdesk.cli import show
from cdesk.config import Home
from cdesk.errors import UsageError


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "collector",
        "Many laptops, one warehouse. On the collector (`cdesk up --role collector`):\n\n"
        "  cdesk collector invite NAME [--customer ADDRESS | --anybody] [--org ORG]     prints a token, once\n"
        "  cdesk collector list\n"
        "  cdesk collector revoke NAME\n\n"
        "On a laptop:\n\n"
        "  cdesk collector join URL [--ca-file FILE] < token\n"
        "  cdesk collector leave",
    )
    parser.add_argument("act", choices=tuple(_ACTS))
    parser.add_argument("name", nargs="?", metavar="NAME|URL", help="a laptop's name, or the collector's address")
    parser.add_argument("--customer", metavar="ADDRESS", help="whose activities it sends (default: NAME)")
    parser.add_argument("--anybody", action="store_true", help="it may send activities of any customer")
    parser.add_argument("--org", metavar="ORG", help="the organisation they are counted in")
    parser.add_argument("--ca-file", metavar="FILE", help="whom to trust instead of the system's authorities (PEM)")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args(arguments)
    if given.act in ("invite", "revoke", "join") and not given.name:
        raise UsageError(f"say {'which address to join' if given.act == 'join' else f'whom to {given.act}'}.", "See `cdesk collector --help`.")  # fmt: skip
    home = config.home()
    home.make()
    answer = _ACTS[given.act](home, given)
    if given.json:
        show.json(answer)
    else:
        _print(given.act, answer)
    return 0


def _invite(home: Home, given: argparse.Namespace) -> dict[str, Any]:
    if given.customer and given.anybody:
        raise UsageError("give --customer or --anybody, not both.")
    from cdesk.capture.laptops import Laptops

    customer = None if given.anybody else given.customer or given.name
    made = Laptops(home.laptops).invite(given.name, customer=customer, org_id=given.org)
    return {"name": made.name, "customer": customer, "org_id": given.org, "token": made.token}


def _list(home: Home, given: argparse.Namespace) -> dict[str, Any]:
    from cdesk.capture.laptops import Laptops
    from cdesk.cli.client import connect

    client = connect(home)
    collector = (client.get("/v1/status").get("collector") if client is not None else None) or {"listen": None, "laptops": []}  # fmt: skip
    heard = {one["name"]: one for one in collector["laptops"]}
    return {"listen": collector["listen"], "laptops": [
        {"name": one.name, "customer": one.customer, "org_id": one.org_id, "invited_at": one.invited_at,
         "revoked_at": one.revoked_at, **{name: heard.get(one.name, {}).get(name) for name in ("accepted", "refused", "last_heard_at")}}
        for one in Laptops(home.laptops).all()
    ]}  # fmt: skip


def _revoke(home: Home, given: argparse.Namespace) -> dict[str, Any]:
    from cdesk.capture.laptops import Laptops

    Laptops(home.laptops).revoke(given.name)
    return {"name": given.name, "revoked": True}


def _join(home: Home, given: argparse.Namespace) -> dict[str, Any]:
    """The token is tried before anything is kept."""
    from cdesk.governance.handshake import read_token
    from cdesk.upload.collector import Collector

    settings = config.load(home).collector
    if settings.url is not None and settings.url != given.name:
        raise UsageError(f"this laptop sends to {settings.url} already.", "`cdesk collector leave` first.")
    if sys.stdin.isatty():
        print("The token of your invitation, then Enter:", file=sys.stderr)
    try:
        invitation = read_token(sys.stdin.readline())
    except ValueError:
        raise UsageError("standard input has no invitation's token.", "`cdesk collector join URL < file`; `invite` prints it.") from None  # fmt: skip
    collector = Collector(given.name, invitation, ca_file=Path(given.ca_file) if given.ca_file else None)
    collector.hello()
    collector.close()
    _keep(home.invitation, invitation.token)
    if settings.url is None:
        _tell(home.settings, given.name, given.ca_file)
    return {"url": given.name, "name": invitation.name, "restart": _is_running(home)}


def _leave(home: Home, given: argparse.Namespace) -> dict[str, Any]:
    url = config.load(home).collector.url
    if url is None and not home.invitation.exists():
        raise UsageError("this laptop sends to no collector.")
    home.invitation.unlink(missing_ok=True)
    return {"url": url, "settings": str(home.settings), "restart": _is_running(home)}


_ACTS: dict[str, Callable[[Home, argparse.Namespace], dict[str, Any]]] = {
    "invite": _invite, "list": _list, "revoke": _revoke, "join": _join, "leave": _leave,
}  # fmt: skip


def _keep(path: Path, token: str) -> None:
    path.unlink(missing_ok=True)  # whatever its mode was
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(token + "\n")


def _tell(path: Path, url: str, ca_file: str | None) -> None:
    """A section at the end of the settings; what stands there stays as it is."""
    said = [f"url = {_quoted(url)}"] + ([f"ca_file = {_quoted(str(Path(ca_file).absolute()))}"] if ca_file else [])
    before = path.read_text("utf-8") if path.exists() else ""
    if "[collector]" in before:
        raise UsageError(f"{path} has a [collector] section of its own.", f"Add to it: {', '.join(said)}")
    path.write_text(before + ("\n" if before else "") + "[collector]\n" + "\n".join(said) + "\n", "utf-8")


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _is_running(home: Home) -> bool:
    from cdesk.cli.client import running

    return running(home) is not None


def _print(act: str, answer: dict[str, Any]) -> None:
    again = (
        "\nThe service that runs does so from its next start: `cdesk down`, `cdesk up`."
        if answer.get("restart")
        else ""
    )
    if act == "invite":
        whose = answer["customer"] or "anybody"
        print(f"{answer['name']} may send activities of {whose}. The token, shown only now:", file=sys.stderr)
        print(answer["token"])
    elif act == "list":
        _table(answer)
    elif act == "revoke":
        print(f"{answer['name']} is refused from now on.")
    elif act == "join":
        print(f"{answer['url']} proved to be your collector. Activities go there as {answer['name']}.{again}")
    else:
        print(f"The invitation is gone. Remove [collector] from {answer['settings']}, too.{again}")


def _table(answer: dict[str, Any]) -> None:
    if not answer["laptops"]:
        print("Nobody is invited yet: `cdesk collector invite NAME`.")
        return
    show.table(
        "", ["laptop", "customer", "organisation", "state", "accepted", "last heard"],
        [[one["name"], one["customer"] or "anybody", one["org_id"] or "", "revoked" if one["revoked_at"] else "invited",
          show.number(one["accepted"]), str(one["last_heard_at"] or "")[:19].replace("T", " ")] for one in answer["laptops"]],
        right=(4,), whole=(0,),
        note=f"Listens at {answer['listen']}." if answer["listen"] else "No collector runs here: `cdesk up --role collector`.",
    )  # fmt: skip
