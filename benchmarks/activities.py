"""Made-up activities as the queue carries them: shapes from sample sessions, ids and times of their own, any number.

Sample transcripts (`cdesk.sample`) go through cdesk's own capture; what comes out, about two thousand activities of
eighteen kinds, become patterns: lines with holes for what differs from one fact to the next. Texts are lengthened to
what real sessions hold; a line has about 1 KB in the mean, 0.4 to 4 KB. The n-th fact of a stream called `name` has
the id md5(name-n), so SQL can say which rows must be there (`warehouse_with`, `missing`).
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import md5, sha256
from pathlib import Path
from random import Random
from zlib import crc32

import msgspec

from cdesk.activity.catalog import CATALOG, complete
from cdesk.activity.codec import pack
from cdesk.activity.model import JSON, Activity, Features, Person, Source
from cdesk.activity.pricing import PriceBook
from cdesk.capture.transcript import TranscriptFile, find
from cdesk.sample import scene
from cdesk.sample.story import PROJECTS
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb.store import SHREDDING_ROWS_MIN, DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

SESSIONS = 60
"""Sample sessions that patterns are taken from."""
SESSIONS_AT_ONCE, SESSION_FACTS = 40, 400
CUSTOMERS = tuple(f"{name}@example.org" for name in ("ada", "ben", "cleo", "dan", "eve", "finn", "gil", "hana"))
DUPLICATES, SECOND_SOURCES = 0.02, 0.05
"""Shares of lines that say a recent line again, and that tell a recent fact as another source saw it."""
RECENT = 5_000
TEXT_CHARACTERS = 420
"""Mean that is added to texts."""
TEXT = (
    "the test passes now because fixture writes its own folder amounts scale when a rate changes so that old invoices "
    "keep theirs and nobody reads this twice import path error retry branch merge review cache table column index row"
)

BASE_BEGIN = datetime(2025, 9, 1, tzinfo=UTC)
BASE_DAYS = 180
BASE_BATCH_BLOCKS = 61
"""Blocks of one row a pattern, in one transaction: nearly a full row group, as compaction leaves them."""

_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_UNIQUE = {"tool_use_id": "toolu_@id@", "message_id": "msg_@id@", "request_id": "req_@id@", "prompt_id": "@also@"}
_LONG = ("response_text", "prompt_text", "error_message", "text", "summary")
_HOLES = ("id", "also", "also_2", "session", "customer")
_SECOND: dict[str, Source] = {"claude_responded": "otel", "api_request_failed": "otel"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """sample: the sample session it was taken from · features: as the warehouse keeps them, JSON · also, also_2: whether
    it has further names · first, again: bodies of lines with holes, as a transcript tells the fact and as a second source does"""

    sample: str
    activity: str
    features: str
    also: bool
    also_2: bool
    first: bytes
    again: bytes


@cache
def patterns() -> tuple[Pattern, ...]:
    rng = Random(4)
    return tuple(_pattern(activity, rng) for activity in _sampled())


@cache
def samples() -> tuple[tuple[Pattern, ...], ...]:
    """Patterns by sample session: what a session says is of one project and branch."""
    found: dict[str, list[Pattern]] = {}
    for pattern in patterns():
        found.setdefault(pattern.sample, []).append(pattern)
    return tuple(tuple(group) for group in found.values())


class Stream:
    """Endless activities, the same ones for the same name. `facts`: how many of its own it has told so far. Each session
    says what one sample session says, in any order.

    late    share of lines that tell a fact of the base again, as another source saw it
    """

    def __init__(self, name: str, *, late: float = 0.0, base_rows: int = 0) -> None:
        self._name = name
        self._late = late if base_rows else 0.0
        self._base_rows = base_rows
        self._rng = Random(name)
        self._patterns, self._samples = patterns(), samples()
        self._recent: list[tuple[bytes, Pattern, dict[bytes, bytes]]] = []
        self.facts = 0
        self.told_again = 0
        self.told_late = 0

    def lines(self, count: int) -> list[bytes]:
        """The next lines, as of now."""
        now = datetime.now(UTC).replace(microsecond=0)
        second = now.strftime("%Y-%m-%dT%H:%M:%S").encode()
        start_us = int(datetime.now(UTC).microsecond)
        return [self._line(b"%b.%06dZ" % (second, min(start_us + n, 999_999))) for n in range(count)]

    def late_line(self) -> bytes:
        row = self._rng.randrange(self._base_rows)
        pattern = self._patterns[row % len(self._patterns)]
        ts = (BASE_BEGIN + row * _step(self._base_rows)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        self.told_late += 1
        return _sealed(pattern.again, _values(f"base-{row}", row // SESSION_FACTS, ts))

    def again_line(self) -> bytes:
        """A recent fact, word for word or as another source saw it."""
        line, pattern, values = self._rng.choice(self._recent)
        self.told_again += 1
        return (
            line if self._rng.random() * (DUPLICATES + SECOND_SOURCES) < DUPLICATES else _sealed(pattern.again, values)
        )

    def new_line(self, ts: bytes) -> bytes:
        session = self.facts // (SESSION_FACTS * SESSIONS_AT_ONCE) * SESSIONS_AT_ONCE + self.facts % SESSIONS_AT_ONCE
        sample = self._samples[session % len(self._samples)]
        pattern = sample[self._rng.randrange(len(sample))]
        values = _values(f"{self._name}-{self.facts}", session, ts)
        line = _sealed(pattern.first, values)
        if len(self._recent) < RECENT:
            self._recent.append((line, pattern, values))
        else:
            self._recent[self.facts % RECENT] = (line, pattern, values)
        self.facts += 1
        return line

    def _line(self, ts: bytes) -> bytes:
        dice = self._rng.random()
        if dice < self._late:
            return self.late_line()
        if dice > 1 - DUPLICATES - SECOND_SOURCES and self._recent:
            return self.again_line()
        return self.new_line(ts)


def _values(name: str, session: int, ts: bytes) -> dict[bytes, bytes]:
    digest = md5(name.encode(), usedforsecurity=False).hexdigest()
    tail = f"{digest[1:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"
    return {
        b"id": (digest[0] + tail).encode(), b"also": b"f" + tail.encode(), b"also_2": b"e" + tail.encode(), b"ts": ts,
        b"session": b"%08x-5e55-4000-8000-000000000000" % session, b"customer": CUSTOMERS[session % len(CUSTOMERS)].encode(),
    }  # fmt: skip


def _sealed(body: bytes, values: dict[bytes, bytes]) -> bytes:
    filled = body % values
    return b'%b,"_crc":"%08x"}\n' % (filled, crc32(filled))


# -- patterns ------------------------------------------------------------------------------------------------------


def _sampled() -> list[Activity]:
    """What capture makes of sample sessions."""
    person = Person("@customer@", "host_5a3e0c91d2", None)
    found: list[Activity] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(SESSIONS):
            project = PROJECTS[number % len(PROJECTS)]
            task = project.tasks[number // len(PROJECTS) % len(project.tasks)]
            at = _NO_TIME + timedelta(hours=number)
            for name, content in scene.work(project, task, number, at, Random(number), padding=12).files():
                path = Path(folder) / "projects" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for path in find(Path(folder)):
            for chunk in TranscriptFile(path, person, PriceBook.bundled()).read(None):
                found += chunk.activities
    return found


def _pattern(activity: Activity, rng: Random) -> Pattern:
    also = "@also@" if activity.also_id else None
    also_2 = "@also_2@" if activity.also_id_2 else None
    first = msgspec.structs.replace(
        activity, activity_id="@id@", ts=_NO_TIME, also_id=also, also_id_2=also_2, session_id="@session@",
        feature_json=_lengthened(_unique(activity.feature_json), rng),
    )  # fmt: skip
    features = msgspec.json.encode(complete(first.activity, first.feature_json)).decode()
    return Pattern(
        activity.session_id or "",
        first.activity,
        features.replace("@", ""),
        bool(also),
        bool(also_2),
        _holed(first),
        _holed(_again(first)),
    )


def _again(first: Activity) -> Activity:
    """The same fact by a hook or telemetry, which know less of it, and some facts by another name."""
    declared = CATALOG[first.activity].features if first.activity in CATALOG else ()
    required = {feature.name for feature in declared if feature.required}
    known = {name: v for n, (name, v) in enumerate(first.feature_json.items()) if n % 2 == 0 or name in required}
    return msgspec.structs.replace(
        first, activity_id=first.also_id_2 or first.also_id or first.activity_id, also_id=None, also_id_2=None,
        source=_SECOND.get(first.activity, "hook"), feature_json=known,
    )  # fmt: skip


def _unique(features: Features) -> Features:
    return {name: _UNIQUE.get(name, value) if value is not None else None for name, value in features.items()}


def _lengthened(features: Features, rng: Random) -> Features:
    longer: dict[str, JSON] = {}
    for name in _LONG:
        value = features.get(name)
        if isinstance(value, str):
            longer[name] = f"{value} {_words(rng)}"
    parameters = features.get("parameters")
    if isinstance(parameters, dict):
        longer["parameters"] = {**parameters, "description": _words(rng)}
    return {**features, **longer}


def _words(rng: Random) -> str:
    size = min(round(rng.expovariate(1 / TEXT_CHARACTERS)), 3_000)
    return " ".join(rng.choices(TEXT.split(), k=size // 6))


def _holed(activity: Activity) -> bytes:
    """The body of its line, for `%`."""
    body = pack(activity)[:-1].replace(b"%", b"%%").replace(b'"2000-01-01T00:00:00Z"', b'"%(ts)b"')
    for hole in _HOLES:
        body = body.replace(b"@%b@" % hole.encode(), b"%%(%b)b" % hole.encode())
    return body


# -- a warehouse that holds many already ---------------------------------------------------------------------------


def warehouse_with(rows: int, cache: Path) -> Path:
    """A folder with a warehouse of so many facts of the stream "base", made once and kept; copy it to use it."""
    schema = b"".join(path.read_bytes() for path in sorted(deploy.SCHEMA_FOLDER.glob("[0-9]*.sql")))
    made_of = schema + "".join(pattern.features for pattern in patterns()).encode() + bytes([BASE_BATCH_BLOCKS])
    folder = cache / f"base-{rows}-{sha256(made_of).hexdigest()[:8]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        warehouse = DuckDBWarehouse(folder, memory_limit="2GB")
        try:
            _fill(warehouse, rows)
        finally:
            warehouse.close()
        (folder / "complete").touch()
    return folder


def _step(rows: int) -> timedelta:
    return timedelta(microseconds=BASE_DAYS * 86_400_000_000 // rows)


def _fill(warehouse: DuckDBWarehouse, rows: int) -> None:
    """Block by block, each holding one row a pattern: joined otherwise, or sorted, VARIANTs are copied one by one.

    They are stored key by key, as after compaction, which is most of the time this takes (10 million: ten minutes)."""
    if not rows:
        return
    found = patterns()
    warehouse.query(f"SET GLOBAL variant_minimum_shredding_size = {SHREDDING_ROWS_MIN}")
    warehouse.query("SET GLOBAL preserve_insertion_order = true")
    typed = _typed_columns(warehouse)
    hot = "".join(f", CAST(features ->> '{name[1:]}' AS {kind}) AS {name}" for name, kind in typed.items())
    warehouse.query(
        f"""CREATE TABLE _pattern AS SELECT i, activity, also, also_2, features::VARIANT AS feature_json,
                   CAST(features ->> 'cost_usd' AS DOUBLE) AS revenue_impact{hot}
              FROM (SELECT unnest($1::INTEGER[]) AS i, unnest($2::VARCHAR[]) AS activity, unnest($3::VARCHAR[])::JSON AS features,
                           unnest($4::BOOLEAN[]) AS also, unnest($5::BOOLEAN[]) AS also_2)""",
        [list(range(len(found))), [p.activity for p in found], [p.features for p in found],
         [p.also for p in found], [p.also_2 for p in found]],
    )  # fmt: skip
    sql = _rows_sql(list(typed))
    begin, step_us = BASE_BEGIN.replace(tzinfo=None), _step(rows) // timedelta(microseconds=1)
    for block in range(0, rows // len(found) + 1, BASE_BATCH_BLOCKS):
        warehouse.query(sql, [begin, step_us, block, block + BASE_BATCH_BLOCKS, rows])
    warehouse.query("DROP TABLE _pattern")
    warehouse.query("CHECKPOINT")


def _typed_columns(warehouse: DuckDBWarehouse) -> dict[str, str]:
    """Features that the stream also keeps as columns of their own type, under their name with an underscore."""
    features = {f"_{feature.name}" for declaration in CATALOG.values() for feature in declaration.features}
    columns = warehouse.query(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $1", [STREAM]
    ).rows
    return {name: kind for name, kind in columns if name in features and name != "_session_id"}


def _rows_sql(typed: list[str]) -> str:
    names = "".join(f", {name}" for name in typed)
    return f"""
INSERT INTO {STREAM} (activity_id, ts, customer, anonymous_customer_id, activity, feature_json, revenue_impact, _session_id,
                      _source, _schema_version, _ingested_at, _also_id, _also_id_2{names})
SELECT d::UUID, $1 + to_microseconds(i * $2), 'ada@example.org', 'host_5a3e0c91d2', activity, feature_json, revenue_impact,
       printf('%08x-5e55-4000-8000-000000000000', i // {SESSION_FACTS}), 'transcript', 2, $1,
       CASE WHEN also THEN ('f' || substr(d, 2))::UUID END, CASE WHEN also_2 THEN ('e' || substr(d, 2))::UUID END{names}
  FROM (SELECT r.i * n + p.i AS i, md5('base-' || (r.i * n + p.i)) AS d, p.* EXCLUDE (i)
          FROM (SELECT i, (SELECT count(*) FROM _pattern) AS n FROM range($3, $4) AS r(i)) AS r CROSS JOIN _pattern AS p)
 WHERE i < $5"""


def counts(warehouse: DuckDBWarehouse) -> tuple[int, int]:
    """Rows, and ids that stand there more than once."""
    [(rows, ids)] = warehouse.query(f"SELECT count(*), count(DISTINCT activity_id) FROM {STREAM}").rows
    return rows, rows - ids


def missing(warehouse: DuckDBWarehouse, name: str, facts: int) -> int:
    """How many of the first facts of a stream are not there."""
    sql = f"SELECT count(*) FROM range($2) AS r(i) ANTI JOIN {STREAM} ON activity_id = md5($1 || '-' || r.i)::UUID"
    return int(warehouse.query(sql, [name, facts]).rows[0][0])
