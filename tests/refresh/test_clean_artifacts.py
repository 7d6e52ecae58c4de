"""Expired artifacts go at night; what is pinned or held stays."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.refresh.history import History

NOW = datetime(2026, 3, 1, 10)
LEFT = "SELECT artifact_id FROM ARTIFACTS ORDER BY 1"


@pytest.fixture
def artifacts(history: History) -> History:
    for table in ("ARTIFACTS", "LEGAL_HOLD", "ARTIFACT_CONTENT_DUE", "ARTIFACT_CLEANUPS"):
        history.rows(f"DELETE FROM {table}")
    return history


def keep(history: History, name: str, days: int | None, customer: str = "ada", pinned: bool = False) -> None:
    expires = "NULL" if days is None else f"TIMESTAMP '{NOW + timedelta(days=days)}'"
    history.rows(f"""
        INSERT INTO ARTIFACTS (artifact_id, created_ts, customer, artifact_type, total_bytes, s3_key, expires_at, is_pinned)
        VALUES ('{name}', TIMESTAMP '{NOW}', '{customer}', 'report', 10, 'k/{name}', {expires}, {pinned})""")


def hold(history: History, released: bool = False, **what: str) -> None:
    [(column, value)] = what.items()
    at = f"TIMESTAMP '{NOW}'" if released else "NULL"
    history.rows(f"""
        INSERT INTO LEGAL_HOLD (hold_id, {column}, reason, placed_at, released_at)
        VALUES ('h_{value}', '{value}', 'matter 7', TIMESTAMP '{NOW}', {at})""")


def test_expired_goes_and_everything_else_stays(artifacts: History) -> None:
    """Expired now is expired; without a date it never does; a hold that was released holds no longer."""
    keep(artifacts, "old", -1)
    keep(artifacts, "now", 0)
    keep(artifacts, "later", 1)
    keep(artifacts, "never", None)
    keep(artifacts, "pinned", -1, pinned=True)
    keep(artifacts, "held", -1)
    keep(artifacts, "bobs", -1, customer="bob")
    keep(artifacts, "freed", -1)
    hold(artifacts, artifact_id="held")
    hold(artifacts, customer="bob")
    hold(artifacts, released=True, artifact_id="freed")
    artifacts.tasks.run("clean_artifacts", NOW)
    assert [name for (name,) in artifacts.rows(LEFT)] == ["bobs", "held", "later", "never", "pinned"]
    assert artifacts.rows("SELECT * FROM ARTIFACT_CLEANUPS") == [(NOW, 3, 30, 1, 2)]
    assert artifacts.rows("SELECT s3_key FROM ARTIFACT_CONTENT_DUE ORDER BY 1") == [
        ("k/freed",),
        ("k/now",),
        ("k/old",),
    ]


def test_cleaning_again_finds_nothing(artifacts: History) -> None:
    """A second run deletes nothing and says so."""
    keep(artifacts, "old", -1)
    artifacts.tasks.run("clean_artifacts", NOW)
    artifacts.tasks.run("clean_artifacts", NOW + timedelta(days=1))
    assert artifacts.rows("SELECT deleted FROM ARTIFACT_CLEANUPS ORDER BY ran_at") == [(1,), (0,)]
    assert artifacts.rows("SELECT count(*) FROM ARTIFACT_CONTENT_DUE") == [(1,)]
