"""Settings, read once: `$CDESK_HOME` (all state lives there) and its optional `config.toml`.

    [person]   customer = "ada@example.org"    org = "acme"
    [claude]   dirs = ["~/.claude"]
    [service]  port = 4740
    [queue]    segment_bytes_max = 52428800    segment_seconds_max = 60    bytes_max = 2147483648
               archive = "delete" or "keep"    archive_bytes_max = 10737418240
    [queue.pressure]                           (see queue/pressure.py, capture/relief.py)
               bytes = [536870912, 1073741824, 1717986918]    events = [1000000, 2000000, 4000000]
               age_s = [300, 3600, 21600]    falls_at = 0.7    calm_s = 10
               text_characters_max = 1000    keep_one_in = [10, 100]
    [context]  hook = "off", "brief" or "full"
    [budget]   usd_per_day = 20
    [artifacts]                                (see artifact/s3.py)
               days = 90    url = "s3://bucket/prefix"    endpoint = "https://…"    region = "us-east-1"
               key_id = "env:NAME" or "file:/path"    secret = …    session_token = …
    [consent]  sources = [...]    exclude_projects = [...]    text = "keep"    (see governance/consent.py)
    [drift]    default = "additive"    llm = "strict"    (see governance/drift.py)
    [snowflake]                                (see docs/snowflake.md)
               connection = "name in connections.toml", or account, user and private_key_file or token_file
               role, warehouse    database = "CDESK"    schema = "ACTIVITY"    load = false
               budget_usd_per_day = 100    budget_soft_share = 0.8    usd_per_credit = 3    (see docs/cost.md)

Unknown sections and keys are errors, so that a typing mistake is not silently without effect.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cdesk.errors import ConfigError
from cdesk.governance.consent import Consent
from cdesk.governance.drift import DriftPolicy

DEFAULT_PORT = 4740
SAMPLE_SUFFIX = "-sample"
SAMPLE_LABEL = "SAMPLE"


class PersonSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    customer: str | None = None
    org: str | None = None


class ClaudeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dirs: tuple[str, ...] = ()


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int = DEFAULT_PORT


class PressureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bytes, events, age_s: from where the queue is elevated, high, critical; bytes otherwise in proportion to bytes_max
    falls_at, calm_s: a level ends when every measure is below this part of its threshold, for so many seconds
    text_characters_max: texts of pressed activities · keep_one_in: of low-value activities, at high and at critical"""

    bytes: tuple[int, int, int] | None = None
    events: tuple[int, int, int] = (1_000_000, 2_000_000, 4_000_000)
    age_s: tuple[float, float, float] = (300.0, 3_600.0, 21_600.0)
    falls_at: float = 0.7
    calm_s: float = 10.0
    text_characters_max: int = 1_000
    keep_one_in: tuple[int, int] = (10, 100)

    def __post_init__(self) -> None:
        for name in ("bytes", "events", "age_s", "keep_one_in"):
            given = getattr(self, name)
            if given is not None and (list(given) != sorted(given) or given[0] < 1):
                raise ValueError(f"{name} must begin above 0 and never fall")
        if not 0 < self.falls_at <= 1:
            raise ValueError("falls_at must be above 0 and at most 1")
        if self.calm_s < 0 or self.text_characters_max < 0:
            raise ValueError("calm_s and text_characters_max must not be negative")


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bytes_max: what all segments together may take; then the queue is full
    archive: what becomes of segments that are loaded, and how many bytes of them are kept"""

    segment_bytes_max: int = 50 * 1024 * 1024
    segment_seconds_max: float = 60.0
    bytes_max: int = 2 * 1024**3
    archive: Literal["delete", "keep"] = "delete"
    archive_bytes_max: int = 10 * 1024**3
    pressure: PressureSettings = PressureSettings()


class ContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """hook: how much of its context Claude is told when a session starts, and of what is new, with a prompt"""

    hook: Literal["off", "brief", "full"] = "brief"


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """usd_per_day: what a day may cost; the status line says so, nothing is stopped"""

    usd_per_day: Annotated[float, msgspec.Meta(gt=0)] | None = None


class ArtifactSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """days: an artifact expires after so many
    url: the bucket that holds their content; None: this home's folder `artifacts` · endpoint: None: Amazon's
    key_id, secret, session_token: where each stands, `env:NAME` or `file:/path`; never the thing itself"""

    days: float = 90
    url: str | None = None
    endpoint: str | None = None
    region: str = "us-east-1"
    key_id: str = "env:AWS_ACCESS_KEY_ID"
    secret: str = "env:AWS_SECRET_ACCESS_KEY"  # noqa: S105 -- where it stands
    session_token: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.days <= 36_500:
            raise ValueError("days must be above 0 and at most 36500")
        if self.url is not None and not re.fullmatch(
            r"s3://[a-z0-9][a-z0-9.-]{1,62}(/[\w.=-]+)*/?", self.url, re.ASCII
        ):
            raise ValueError("url is a bucket, such as s3://bucket/prefix")
        for name in ("key_id", "secret", "session_token"):
            given = getattr(self, name)
            if given is not None and not re.match(r"env:\w+$|file:/", given):
                raise ValueError(
                    f"{name} says where it stands, env:NAME or file:/path, and is never written here itself"
                )
        if self.endpoint is not None and not _is_safe(self.endpoint):
            raise ValueError("endpoint is an https:// address; plain http:// only of this machine")


def _is_safe(endpoint: str) -> bool:
    return bool(re.match(r"https://[^/@?#]+/?$|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?$", endpoint))


class SnowflakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """connection: a name of connections.toml, which may say all that is left out here
    private_key_file, token_file: where the key of a key pair, or an OAuth token, is; no secret stands here
    load: whether the queue is carried there, too · batch_seconds: how long lines are gathered for one batch
    path: copy: staged files and a warehouse · streaming: Snowpipe Streaming
    statement_seconds_max: how long one statement may take
    retention: who deletes what is old: a task of ours, or Snowflake's storage lifecycle policies
    budget_usd_per_day: what a day in Snowflake may cost, 0: no limit; loading pauses there · budget_soft_share: from which
    part of it that is told · usd_per_credit: your price of one credit"""

    connection: str | None = None
    connections_file: str | None = None
    account: str | None = None
    user: str | None = None
    private_key_file: str | None = None
    token_file: str | None = None
    role: str | None = None
    warehouse: str | None = None
    database: str = "CDESK"
    schema: str = "ACTIVITY"
    load: bool = False
    path: Literal["copy", "streaming"] = "copy"
    batch_seconds: float = 60.0
    statement_seconds_max: float = 600.0
    retention: Literal["task", "policy"] = "task"
    budget_usd_per_day: float = 100.0
    budget_soft_share: float = 0.8
    usd_per_credit: float = 3.0

    def __post_init__(self) -> None:
        for name in ("database", "schema"):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]{0,254}", getattr(self, name)):
                raise ValueError(f"{name} must be a plain name")
        if self.private_key_file and self.token_file:
            raise ValueError("give private_key_file or token_file, not both")
        if not 0 < self.statement_seconds_max <= 604_800:
            raise ValueError("statement_seconds_max must be above 0 and at most 604800")
        if self.batch_seconds <= 0:
            raise ValueError("batch_seconds must be above 0")
        if not 0 <= self.budget_usd_per_day < math.inf:
            raise ValueError("budget_usd_per_day must not be negative; 0 is no limit")
        if not 0 < self.budget_soft_share <= 1:
            raise ValueError("budget_soft_share must be above 0 and at most 1")
        if not 0 < self.usd_per_credit < math.inf:
            raise ValueError("usd_per_credit must be above 0")

    @property
    def is_given(self) -> bool:
        """Whether it says whom to sign in with."""
        return bool(self.connection or (self.account and self.user))


class CollectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On a laptop: url of the collector that its activities go to · token_file: its invitation ($CDESK_HOME/collector.token)
    ca_file: whom to trust instead of the system's authorities · batch_seconds: how long lines are gathered for one batch
    On the collector: listen, as host:port · tls_cert, tls_key: PEM files"""

    url: str | None = None
    token_file: str | None = None
    ca_file: str | None = None
    batch_seconds: float = 2.0
    listen: str = "127.0.0.1:4610"
    tls_cert: str | None = None
    tls_key: str | None = None

    def __post_init__(self) -> None:
        if self.batch_seconds <= 0:
            raise ValueError("batch_seconds must be above 0")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonSettings = PersonSettings()
    claude: ClaudeSettings = ClaudeSettings()
    service: ServiceSettings = ServiceSettings()
    queue: QueueSettings = QueueSettings()
    context: ContextSettings = ContextSettings()
    budget: BudgetSettings = BudgetSettings()
    artifacts: ArtifactSettings = ArtifactSettings()
    consent: Consent = Consent()
    drift: DriftPolicy = DriftPolicy()
    snowflake: SnowflakeSettings = SnowflakeSettings()
    collector: CollectorSettings = CollectorSettings()


class Home(msgspec.Struct, frozen=True):
    """The folder that holds all state, and where each room keeps its own."""

    path: Path

    @property
    def queue(self) -> Path:
        return self.path / "queue"

    @property
    def archive(self) -> Path:
        """Segments that are loaded, when they are kept."""
        return self.queue / "archive"

    @property
    def owner(self) -> Path:
        """Locked by the process that carries the queue to the warehouse."""
        return self.path / "owner.lock"

    @property
    def refused(self) -> Path:
        """How many events the queue turned away."""
        return self.path / "refused"

    @property
    def dead(self) -> Path:
        return self.path / "dead"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse"

    @property
    def tickets(self) -> Path:
        """A file for each long question that was handed in."""
        return self.path / "tickets"

    @property
    def artifacts(self) -> Path:
        """Content of artifacts, and what is copied here to be read."""
        return self.path / "artifacts"

    @property
    def context(self) -> Path:
        """What Claude is told, readable by any process."""
        return self.path / "context" / "cache.sqlite"

    @property
    def today(self) -> Path:
        """What today has cost, for the status line."""
        return self.path / "context" / "today.json"

    @property
    def cost(self) -> Path:
        """What cdesk itself took of this machine, day by day."""
        return self.path / "cost.json"

    @property
    def bookmarks(self) -> Path:
        return self.path / "bookmarks.json"

    @property
    def templates(self) -> Path:
        """Questions of the home's own."""
        return self.path / "templates"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def laptops(self) -> Path:
        """Who may send to this collector."""
        return self.path / "collector" / "laptops.json"

    @property
    def invitation(self) -> Path:
        """What this laptop proves itself with to its collector."""
        return self.path / "collector.token"

    @property
    def key(self) -> Path:
        """32 random bytes: what fingerprints of secrets are made with."""
        return self.path / "key"

    @property
    def service(self) -> Path:
        """Written by the running service: pid, port, start."""
        return self.path / "service.json"

    @property
    def log(self) -> Path:
        return self.path / "service.log"

    @property
    def settings(self) -> Path:
        return self.path / "config.toml"

    @property
    def is_sample(self) -> bool:
        return (self.path / SAMPLE_LABEL).exists()

    def make(self) -> None:
        """Raises ConfigError when the folder cannot be made or used."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.chmod(0o700)
        except OSError as error:
            raise ConfigError(
                f"cannot use {self.path} as home: {error.strerror}.", "Set CDESK_HOME to a folder of your own."
            ) from None


def snowflake(settings: Settings, environment: Mapping[str, str] = os.environ) -> SnowflakeSettings:
    """The section, with what `CDESK_SNOWFLAKE_ACCOUNT`, `CDESK_SNOWFLAKE_USER`, `CDESK_SNOWFLAKE_PRIVATE_KEY_FILE` and the
    others of its texts say instead. Raises ConfigError."""
    fields = (
        "connection",
        "account",
        "user",
        "private_key_file",
        "token_file",
        "role",
        "warehouse",
        "database",
        "schema",
    )
    said = {name: value for name in fields if (value := environment.get(f"CDESK_SNOWFLAKE_{name.upper()}"))}
    try:
        return msgspec.structs.replace(settings.snowflake, **said)
    except ValueError as error:
        raise ConfigError(f"CDESK_SNOWFLAKE_…: {error}.", "Correct or unset it.") from None


def home(environment: Mapping[str, str] = os.environ) -> Home:
    """`$CDESK_HOME`, else `~/.cdesk`."""
    given = environment.get("CDESK_HOME")
    return Home((Path(given) if given else Path("~/.cdesk")).expanduser().absolute())


def sample_home(environment: Mapping[str, str] = os.environ) -> Home:
    """Beside the real home, never inside it."""
    real = home(environment).path
    return Home(real if real.name.endswith(SAMPLE_SUFFIX) else real.with_name(real.name + SAMPLE_SUFFIX))


def load(at: Home) -> Settings:
    """Raises ConfigError naming the file and the key."""
    try:
        text = at.settings.read_text("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {at.settings}: {error}.", "Correct or remove it.") from None
    try:
        return msgspec.convert(tomllib.loads(text), Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{at.settings}: {error}.", "Correct or remove it.") from None
