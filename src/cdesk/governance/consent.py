"""What a person agreed to have kept: which sources, which projects, and the words that were said.

[consent]
sources = ["transcript", "hook", "otel", "mcp", "api"]     which captures may record
exclude_projects = ["~/secret-*"]                          folders never recorded, as glob patterns
text = "keep"                                              keep, hash or drop what was said and written
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec

from cdesk.activity.catalog import CATALOG
from cdesk.activity.model import JSON, Activity, Features

Text = Literal["keep", "hash", "drop"]
SOURCES = ("transcript", "otel", "hook", "mcp", "api", "cdesk")


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[consent]` of config.toml; by default everything of one's own is kept on one's own machine."""

    sources: tuple[str, ...] = SOURCES
    exclude_projects: tuple[str, ...] = ()
    text: Text = "keep"

    def apply(self, activity: Activity, key: bytes) -> Activity | None:
        """What may be kept of it; None when nothing may. `key` makes hashes of words useless to others."""
        if activity.source not in self.sources and activity.source != "cdesk":
            return None
        if self.exclude_projects and self.excludes(activity.feature_json.get("project_path")):
            return None
        if self.text == "keep":
            return activity
        return msgspec.structs.replace(activity, feature_json=self._without_words(activity, key))

    @property
    def digest(self) -> str:
        """Of another consent, another one."""
        return blake2b(msgspec.json.encode(self), digest_size=8).hexdigest()

    def excludes(self, project: JSON) -> bool:
        """Whether nothing of this folder may be kept or told."""
        if not isinstance(project, str):
            return False
        patterns = (str(Path(pattern).expanduser()) for pattern in self.exclude_projects)
        return any(fnmatchcase(project, pattern) or fnmatchcase(project, f"{pattern}/*") for pattern in patterns)

    def _without_words(self, activity: Activity, key: bytes) -> Features:
        words = _words(activity.activity)
        kept: Features = {}
        for name, value in activity.feature_json.items():
            if name not in words:
                kept[name] = value
            elif self.text == "hash" and value is not None:
                kept[name] = f"[hashed:{blake2b(msgspec.json.encode(value), key=key[:64], digest_size=8).hexdigest()}]"
        return kept


@cache
def _words(activity: str) -> frozenset[str]:
    declaration = CATALOG.get(activity)
    return frozenset(f.name for f in declaration.features if f.privacy == "content") if declaration else frozenset()
