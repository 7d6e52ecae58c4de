"""What every store of content does, whichever it is; a folder of this home, or a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from cdesk.artifact.model import Place

SUFFIX = ".parquet"


class Store(Protocol):
    """All raise ArtifactError."""

    def place(self, artifact_id: str) -> Place:
        """Where its content will be."""
        ...

    def put(self, place: Place, file: Path) -> None:
        """The whole file, durably there when it returns; `file` is gone then."""
        ...

    def file(self, place: Place, sha256: str) -> Path:
        """A file of this machine that holds it. Raises ContentMissing when it is not there any more."""
        ...

    def has(self, place: Place) -> bool: ...

    def delete(self, place: Place) -> None:
        """Does nothing when it is gone."""
        ...

    def signed(self, place: Place, method: str, seconds: int) -> str | None:
        """A link that the store itself answers for so long; None when it answers nobody."""
        ...
