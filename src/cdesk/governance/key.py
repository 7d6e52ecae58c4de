"""This home's own secret key, made once, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cdesk.errors import CdeskError

KEY_BYTES = 32


def load_or_make_key(path: Path) -> bytes:
    """32 bytes. Processes starting at once agree on one, whoever of them dies or finds the disk full."""
    try:
        return _whole(path) or _make(path)
    except OSError as error:
        raise CdeskError(
            f"cannot make {path}: {error.strerror}.", "See that there is disk space, and that the folder is yours."
        ) from None


def _whole(path: Path) -> bytes:
    """Empty when there is none; a short one was never finished."""
    with suppress(FileNotFoundError):
        known = path.read_bytes()
        return known if len(known) >= KEY_BYTES else b""
    return b""


def _make(path: Path) -> bytes:
    """It gets its name when it is whole and on disk; who comes second takes that of the first."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(handle)
        if path.exists() and not _whole(path):
            path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            path.hardlink_to(beside)
        return _whole(path)
    finally:
        beside.unlink(missing_ok=True)
