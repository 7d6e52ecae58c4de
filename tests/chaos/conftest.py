"""Whatever happens to a test, no process of its stays behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.chaos import processes


@pytest.fixture(autouse=True)
def nobody_stays_behind() -> Iterator[None]:
    yield
    processes.end_all()
