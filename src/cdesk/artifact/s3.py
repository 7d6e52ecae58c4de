"""Content in a bucket of S3, or of a server that speaks its protocol.

    [artifacts] url = "s3://bucket/prefix"     objects: prefix/art_….parquet

Read it is from a copy in the home's folder, checked against its SHA-256 and kept while there is room for copies. The
credentials are read, where the settings say, when the store is opened; nothing of them is written anywhere. A download
link is S3's own: it ends after the seconds it says, and is good for one object and one method.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from cdesk.artifact.folder import translated
from cdesk.artifact.model import Place
from cdesk.artifact.store import SUFFIX
from cdesk.config import ArtifactSettings
from cdesk.errors import ArtifactError, BucketAway, ConfigError, ContentMissing

if TYPE_CHECKING:
    from obstore.store import S3Store as Bucket

COPIES_BYTES_MAX = 1024**3
PART_BYTES = 8 * 1024 * 1024
PART, PART_SECONDS_MAX = ".part", 3_600.0
TIMEOUT = "30s"


class S3Store:
    """`copies`: the folder for copies that are read"""

    def __init__(self, settings: ArtifactSettings, copies: Path, environment: Mapping[str, str] = os.environ) -> None:
        assert settings.url is not None
        self._bucket_name, _, prefix = settings.url.removeprefix("s3://").strip("/").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._copies = copies
        self._bucket = _opened(settings, self._bucket_name, environment)

    def place(self, artifact_id: str) -> Place:
        key = f"{self._prefix}{artifact_id}{SUFFIX}"
        return Place(f"s3://{self._bucket_name}/{key}", self._bucket_name, key)

    def put(self, place: Place, file: Path) -> None:
        import obstore

        with self._translated(f"keep {place.key}"):
            obstore.put(self._bucket, place.key, file, attributes={"Content-Type": "application/vnd.apache.parquet"})
        file.unlink(missing_ok=True)

    def file(self, place: Place, sha256: str) -> Path:
        self._check(place)
        copy = self._copies / f"{sha256}{SUFFIX}"
        if copy.is_file():
            copy.touch()
            return copy
        with translated("copy an artifact here"):
            self._copies.mkdir(exist_ok=True, mode=0o700)
            beside = self._copies / f"{sha256}.{os.urandom(4).hex()}{PART}"
            try:
                self._fetch(place, beside, sha256)
                beside.replace(copy)
            finally:
                beside.unlink(missing_ok=True)
            self._make_room(copy)
        return copy

    def has(self, place: Place) -> bool:
        import obstore

        self._check(place)
        try:
            with self._translated(f"look for {place.key}"):
                obstore.head(self._bucket, place.key)
        except ContentMissing:
            return False
        return True

    def delete(self, place: Place) -> None:
        import obstore

        self._check(place)
        try:
            with self._translated(f"delete {place.key}"):
                obstore.delete(self._bucket, place.key)
        except ContentMissing:
            pass

    def signed(self, place: Place, method: str, seconds: int) -> str | None:
        import obstore

        self._check(place)
        with self._translated(f"sign a link to {place.key}"):
            return str(obstore.sign(self._bucket, cast(Literal["GET"], method), place.key, timedelta(seconds=seconds)))

    # -- within ----------------------------------------------------------------------------------------------------

    def _fetch(self, place: Place, path: Path, sha256: str) -> None:
        import obstore

        digest = hashlib.sha256()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file, self._translated(f"read {place.key}"):
            for part in obstore.get(self._bucket, place.key).stream(min_chunk_size=PART_BYTES):
                digest.update(part)
                file.write(part)
        if digest.hexdigest() != sha256:
            raise ArtifactError(
                f"{place.key} in bucket {place.bucket} is not what was kept.", "Ask its question again."
            )

    def _make_room(self, newest: Path) -> None:
        """The copies that were not read for longest go first; what a killed process was fetching goes, too."""
        for part in self._copies.glob(f"*{PART}"):
            if time.time() - part.stat().st_mtime > PART_SECONDS_MAX:
                part.unlink(missing_ok=True)
        copies = sorted(self._copies.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        room = COPIES_BYTES_MAX
        for copy in copies:
            room -= copy.stat().st_size
            if room < 0 and copy != newest:
                copy.unlink(missing_ok=True)

    def _check(self, place: Place) -> None:
        if place.bucket != self._bucket_name:
            raise ArtifactError(
                f"the content is in bucket {place.bucket}, and the settings name {self._bucket_name}.",
                "Set [artifacts] url in config.toml to the bucket it is in.",
            )

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """What the library says may hold addresses with signatures in them: only its kind is told on."""
        try:
            yield
        except FileNotFoundError:
            raise ContentMissing(f"cannot {what}: it is not in bucket {self._bucket_name} any more.",
                                 "Ask its question again.") from None  # fmt: skip
        except Exception as error:
            if isinstance(error, ArtifactError):
                raise
            raise BucketAway(
                f"cannot {what}: bucket {self._bucket_name} said {_kind(error)}.",
                "See that it can be reached, and that the credentials of [artifacts] in config.toml are good.",
            ) from None


def _kind(error: Exception) -> str:
    return type(error).__name__.removesuffix("Error") or "no"


def _opened(settings: ArtifactSettings, bucket: str, environment: Mapping[str, str]) -> Bucket:
    try:
        from obstore.store import S3Store as Opened
    except ImportError:
        raise ConfigError(
            "[artifacts] url names a bucket, and the library for it is not installed.", "Run pip install 'cdesk[s3]'."
        ) from None
    token = settings.session_token
    given = {
        "region": settings.region, "endpoint": settings.endpoint,
        "access_key_id": _credential("key_id", settings.key_id, environment),
        "secret_access_key": _credential("secret", settings.secret, environment),
        "session_token": _credential("session_token", token, environment) if token else None,
    }  # fmt: skip
    is_plain = (settings.endpoint or "").startswith("http://")
    return Opened(
        bucket, virtual_hosted_style_request=False, client_options={"allow_http": is_plain, "timeout": TIMEOUT},
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def _credential(name: str, reference: str, environment: Mapping[str, str]) -> str:
    """Raises ConfigError saying where it was looked for, never what was found."""
    kind, _, at = reference.partition(":")
    try:
        found = environment.get(at, "") if kind == "env" else Path(at).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        found = ""
    if not found.strip():
        raise ConfigError(f"[artifacts] {name}: nothing is at {reference}.", "Set it, or correct config.toml.")
    return found.strip()
