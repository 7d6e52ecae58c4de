"""Settings, read once: `$CDESK_HOME` (all state lives there) and its optional `config.toml`.

    [person]   customer = "ada@example.org"    org = "acme"
    [claude]   dirs = ["~/.claude"]
    [service]  port = 4740
    [queue]    segment_bytes_max = 52428800    segment_seconds_max = 60    bytes_max = 2147483648
    [consent]  sources = [...]    exclude_projects = [...]    text = "keep"    (see governance/consent.py)
    [drift]    default = "additive"    llm = "strict"    (see governance/drift.py)

Unknown sections and keys are errors, so that a typing mistake is not silently without effect.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

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


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    segment_bytes_max: int = 50 * 1024 * 1024
    segment_seconds_max: float = 60.0
    bytes_max: int = 2 * 1024**3


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: PersonSettings = PersonSettings()
    claude: ClaudeSettings = ClaudeSettings()
    service: ServiceSettings = ServiceSettings()
    queue: QueueSettings = QueueSettings()
    consent: Consent = Consent()
    drift: DriftPolicy = DriftPolicy()


class Home(msgspec.Struct, frozen=True):
    """The folder that holds all state, and where each room keeps its own."""

    path: Path

    @property
    def queue(self) -> Path:
        return self.path / "queue"

    @property
    def dead(self) -> Path:
        return self.path / "dead"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse"

    @property
    def bookmarks(self) -> Path:
        return self.path / "bookmarks.json"

    @property
    def token(self) -> Path:
        return self.path / "token"

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
