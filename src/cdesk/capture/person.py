"""Who the activities of this machine belong to."""

from __future__ import annotations

import getpass
import os
import subprocess
from hashlib import blake2b
from pathlib import Path

from cdesk.activity.model import Person
from cdesk.config import PersonSettings

_MACHINE_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def person(settings: PersonSettings, home: Path) -> Person:
    """The configured identity, else git's e-mail, else the operating system's user."""
    customer = settings.customer or _git_email() or _user()
    return Person(customer, f"host_{_machine(home)}", settings.org)


def _git_email() -> str | None:
    try:
        found = subprocess.run(
            ["git", "config", "--global", "--get", "user.email"], capture_output=True, text=True, timeout=2, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _machine(home: Path) -> str:
    """Twelve hex digits that name this machine without giving its own id away; kept in the home where none exists."""
    for path in _MACHINE_FILES:
        try:
            known = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if known:
            return _digest(known)
    kept = home / "machine"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept.write_text(os.urandom(16).hex())
        kept.chmod(0o600)
    return _digest(kept.read_text())


def _digest(machine: str) -> str:
    return blake2b(machine.encode(), digest_size=6, person=b"cdesk-machine").hexdigest()
