"""`cdesk artifact`: whole results that were kept: make, look at, page through, download, link to, pin, hold, delete."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

import msgspec

from cdesk import config
from cdesk.artifact.model import FORMS, Chart, Form
from cdesk.cli import show
from cdesk.cli.client import Client, connect
from cdesk.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from cdesk.app import App

LISTED, PAGE_ROWS = 50, 100
PATIENCE_S = 300.0
"""A long question, and then the writing of its answer."""
PATH = "/v1/artifacts"
_ABOUT = """Artifacts: whole results, kept for 90 days, each with the question it answers.

  cdesk artifact list                      the latest first
  cdesk artifact make --sql "SELECT …"     keep the whole answer to a question
  cdesk artifact show ID                   what it holds, with a sample
  cdesk artifact rows ID                   page through it
  cdesk artifact get ID --format csv       all of it: json, csv, parquet, arrow, markdown, html or svg
  cdesk artifact link ID                   a link that works for ten minutes, without the token
  cdesk artifact pin ID · unpin ID         it does not expire
  cdesk artifact hold ID --reason TEXT     legal hold: nobody can delete it · release ID
  cdesk artifact rm ID"""


def run(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    with _asked() as asked:
        return _ACTS[given.act](asked, given)


def _parser() -> argparse.ArgumentParser:
    parser = show.parser("artifact", _ABOUT)
    acts = parser.add_subparsers(dest="act", required=True, metavar=f"{{{','.join(_ACTS)}}}")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print as JSON")
    listing = acts.add_parser("list", parents=[as_json], help="the latest first")
    listing.add_argument("--count", type=int, default=LISTED, metavar="N", help=f"at most so many, {LISTED} by default")
    listing.add_argument("--query", metavar="QUERY_ID", help="those that answer this question")
    making = acts.add_parser("make", parents=[as_json], help="keep the whole answer to a question")
    making.add_argument("--sql", required=True, help="one read-only SELECT; - reads it from standard input")
    making.add_argument("--title", default="", help="what it is, for people")
    making.add_argument("--chart", type=_chart, metavar="bar|line:X:Y[:SERIES]", help="how it is drawn, by its columns")
    making.add_argument("--parent", metavar="ID", help="the artifact it is a new version of")
    for act, meaning in (
        ("show", "what it holds, with a sample"), ("rows", "page through it"), ("get", "all of it, as a file"),
        ("link", "a link that ends"), ("pin", "it does not expire"), ("unpin", "it expires again"),
        ("hold", "nobody can delete it"), ("release", "end the hold"), ("rm", "delete it"),
    ):  # fmt: skip
        one = acts.add_parser(act, parents=[as_json] if act != "get" else [], help=meaning)
        one.add_argument("id", metavar="ID")
        if act == "rows":
            one.add_argument("--cursor", help="of the page before")
            one.add_argument("--limit", type=int, default=PAGE_ROWS, metavar="N")
        if act in ("get", "link"):
            default = "csv" if act == "get" else "parquet"
            one.add_argument("--format", choices=FORMS, default=default, help=f"{default} by default")
        if act == "get":
            one.add_argument("--output", type=Path, metavar="FILE", help="standard output, where none is named")
        if act == "hold":
            one.add_argument("--reason", required=True, metavar="TEXT", help="the matter it is for")
    return parser


def _chart(given: str) -> Chart:
    kind, *columns = given.split(":")
    if kind not in ("bar", "line") or not 2 <= len(columns) <= 3 or not all(columns):
        raise argparse.ArgumentTypeError(f"{given!r} is not like bar:x:y or line:x:y:series")
    return Chart(cast(Any, kind), *columns)


# -- asked of the service when it runs, else here ------------------------------------------------------------------


class _Service:
    """The running service answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, count: int, query_id: str | None) -> Any:
        asked = {"count": count, **({"query_id": query_id} if query_id else {})}
        return self._client.get(f"{PATH}?{urlencode(asked)}")["artifacts"]

    def make(self, asked: dict[str, Any]) -> Any:
        return self._client.post(PATH, asked)

    def show(self, id_: str) -> Any:
        return self._client.get(_at(id_))

    def rows(self, id_: str, cursor: str | None, limit: int) -> Any:
        asked = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        return self._client.get(f"{_at(id_)}/rows?{urlencode(asked)}")

    def get(self, id_: str, form: Form, out: IO[bytes]) -> None:
        self._client.download(f"{_at(id_)}/content?format={form}", out)

    def link(self, id_: str, form: Form) -> Any:
        return self._client.post(f"{_at(id_)}/link", {"format": form})

    def pin(self, id_: str, is_pinned: bool) -> Any:
        return self._client.post(f"{_at(id_)}/pin", {}) if is_pinned else self._client.delete(f"{_at(id_)}/pin")

    def hold(self, id_: str, reason: str) -> Any:
        return self._client.post(f"{_at(id_)}/hold", {"reason": reason})

    def release(self, id_: str) -> Any:
        return self._client.delete(f"{_at(id_)}/hold")

    def delete(self, id_: str) -> Any:
        return self._client.delete(_at(id_))


class _House:
    """No service runs: the warehouse is opened."""

    def __init__(self, app: App) -> None:
        self._app = app

    def list(self, count: int, query_id: str | None) -> Any:
        return msgspec.to_builtins(self._app.artifacts.latest(count, query_id))

    def make(self, asked: dict[str, Any]) -> Any:
        from cdesk.query.make import MakeRequest, make

        wanted = msgspec.convert(asked, MakeRequest)
        return msgspec.to_builtins(
            make(self._app.warehouse, self._app.artifacts, wanted, self._app.person, self._app.query_id)
        )

    def show(self, id_: str) -> Any:
        artifact = self._app.artifacts.get(id_)
        return {**msgspec.to_builtins(artifact), "has_content": self._app.artifacts.is_here(artifact)}

    def rows(self, id_: str, cursor: str | None, limit: int) -> Any:
        return msgspec.to_builtins(self._app.artifacts.page(id_, cursor, limit))

    def get(self, id_: str, form: Form, out: IO[bytes]) -> None:
        from cdesk.query.render import rendered

        artifact = self._app.artifacts.get(id_)
        with rendered(self._app.artifacts, artifact, form).content as content:
            shutil.copyfileobj(content, out)
        self._app.artifacts.count_access(artifact.artifact_id)

    def link(self, id_: str, form: Form) -> Any:
        self._app.artifacts.get(id_)
        raise ServiceError("a link leads to the service, and it is not running.", "Start it with `cdesk up`.")

    def pin(self, id_: str, is_pinned: bool) -> Any:
        return msgspec.to_builtins(self._app.artifacts.pin(id_, is_pinned))

    def hold(self, id_: str, reason: str) -> Any:
        return msgspec.to_builtins(self._app.artifacts.hold(id_, reason, self._app.person.customer))

    def release(self, id_: str) -> Any:
        return msgspec.to_builtins(self._app.artifacts.release(id_))

    def delete(self, id_: str) -> Any:
        return msgspec.to_builtins(self._app.artifacts.delete(id_))


@contextmanager
def _asked() -> Iterator[_Service | _House]:
    client = connect(config.home(), PATIENCE_S)
    if client is not None:
        yield _Service(client)
        return
    from cdesk.app import opened_app

    with opened_app() as app:
        yield _House(app)


def _at(id_: str) -> str:
    return f"{PATH}/{quote(id_, safe='')}"


# -- acts ----------------------------------------------------------------------------------------------------------

_Asked = _Service | _House


def _list(asked: _Asked, given: argparse.Namespace) -> int:
    found = asked.list(max(1, given.count), given.query)
    if given.json:
        show.json({"artifacts": found})
    elif not found:
        print("No artifacts are kept." if not given.query else "No artifact answers this question.")
    else:
        show.table(
            "", ["id", "title", "rows", "size", "until"],
            [[one["artifact_id"], one["title"], show.number(one["row_count"]), show.size(one["bytes"]), _until(one)]
             for one in found], right=(2, 3), whole=(0, 4),
        )  # fmt: skip
    return 0


def _make(asked: _Asked, given: argparse.Namespace) -> int:
    sql = sys.stdin.read() if given.sql == "-" else given.sql
    made = asked.make({
        "sql": sql, "title": given.title, "parent": given.parent,
        "chart": None if given.chart is None else msgspec.to_builtins(given.chart),
    })  # fmt: skip
    if given.json:
        show.json(made)
    else:
        print(
            f"{made['artifact_id']}: {made['row_count']:,} row{'' if made['row_count'] == 1 else 's'}, {show.size(made['bytes'])}, cite cdesk:{made['query_id']}"
        )
    return 0


def _show(asked: _Asked, given: argparse.Namespace) -> int:
    one = asked.show(given.id)
    if given.json:
        show.json(one)
        return 0
    print(f"{one['artifact_id']}  {one['title']}".rstrip())
    for name, said in (
        ("rows", f"{one['row_count']:,} in {len(one['row_group_bytes'])} groups, {show.size(one['bytes'])} of Parquet"),
        ("made", f"{_time(one['created_at'])} by {one['customer']}, version {one['version']}"),
        ("from", f"cdesk:{one['query_id']}" if one["query_id"] else ""),
        ("parent", one["parent_artifact_id"]), ("newer", ", ".join(one["children"])),
        ("until", _until(one)), ("read", f"{one['access_count']:,} times"),
        ("where", one["place"]["url"] + ("" if one["has_content"] else ": it is not there any more")),
    ):  # fmt: skip
        if said:
            print(f"  {name:<7} {said}")
    show.table(
        "", ["column", "type", "nulls", "unit"],
        [[c["name"], c["type"], "yes" if c["nullable"] else "no", c["unit"] or ""] for c in one["columns"]], whole=(2,),
    )  # fmt: skip
    _show_rows(one["columns"], one["sample"], f"{len(one['sample'])} of {one['row_count']:,} rows; long texts are cut")
    return 0


def _rows(asked: _Asked, given: argparse.Namespace) -> int:
    page = asked.rows(given.id, given.cursor, given.limit)
    if given.json:
        show.json(page)
        return 0
    last = page["offset"] + len(page["rows"])
    note = f"rows {page['offset'] + 1:,} to {last:,} of {page['row_count']:,}" if page["rows"] else "No rows."
    if page["cursor"]:
        note += f"; the next: --cursor {page['cursor']}"
    _show_rows(page["columns"], page["rows"], note)
    return 0


def _get(asked: _Asked, given: argparse.Namespace) -> int:
    if given.output is None:
        if given.format in ("parquet", "arrow") and sys.stdout.isatty():
            raise UsageError(f"{given.format} is nothing for a terminal.", "Name a file with --output.")
        asked.get(given.id, given.format, sys.stdout.buffer)
        sys.stdout.flush()
        return 0
    try:
        handle, beside = mkstemp(dir=given.output.parent, prefix=f".{given.output.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                asked.get(given.id, given.format, out)
            Path(beside).replace(given.output)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {given.output}: {error.strerror}.", "Name another file.") from None
    print(f"{given.output}: {show.size(given.output.stat().st_size)}")
    return 0


def _link(asked: _Asked, given: argparse.Namespace) -> int:
    made = asked.link(given.id, given.format)
    if given.json:
        show.json(made)
    else:
        print(made["url"])
        print(f"Good until {made['expires_at'][:19].replace('T', ' ')} UTC, for whoever has it.", file=sys.stderr)
    return 0


def _told(done: Callable[[_Asked, argparse.Namespace], Any], word: str) -> Callable[[_Asked, argparse.Namespace], int]:
    def act(asked: _Asked, given: argparse.Namespace) -> int:
        one = done(asked, given)
        if given.json:
            show.json(one)
        else:
            print(f"{one['artifact_id']} {word}.")
        return 0

    return act


def _show_rows(columns: list[dict[str, Any]], rows: list[list[Any]], note: str) -> None:
    from cdesk.query.cells import text

    names = [column["name"] for column in columns]
    texts = [[text(value) for value in row] for row in rows]
    if not rows:
        print(note)
    elif sum(max(len(row[i]) for row in [names, *texts]) + 3 for i in range(len(names))) > show.width():
        show.records(names, texts, note=note)
    else:
        right = [i for i in range(len(names)) if all(isinstance(row[i], int | float) for row in rows)]
        show.table("", names, texts, right=right, note=note)


def _until(one: dict[str, Any]) -> str:
    if one["is_held"]:
        return "on hold"
    return "pinned" if one["is_pinned"] else (one["expires_at"] or "–")[:10]


def _time(at: str) -> str:
    return at[:16].replace("T", " ")


_ACTS: dict[str, Callable[[_Asked, argparse.Namespace], int]] = {
    "list": _list, "make": _make, "show": _show, "rows": _rows, "get": _get, "link": _link,
    "pin": _told(lambda asked, given: asked.pin(given.id, True), "is pinned: it does not expire"),
    "unpin": _told(lambda asked, given: asked.pin(given.id, False), "is not pinned any more"),
    "hold": _told(lambda asked, given: asked.hold(given.id, given.reason), "is on legal hold"),
    "release": _told(lambda asked, given: asked.release(given.id), "is not on hold any more"),
    "rm": _told(lambda asked, given: asked.delete(given.id), "is deleted"),
}  # fmt: skip
