"""Cursors and links are only what this home made, unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdesk.artifact.seal import Seal
from cdesk.errors import UsageError

SEAL = Seal(b"a" * 32)
ID = "art_1a2225642db_00000001"


@given(offset=st.integers(0, 10**12))
def test_a_cursor_says_where(offset: int) -> None:
    assert SEAL.offset(ID, SEAL.cursor(ID, offset)) == offset


@given(place=st.integers(0, 200), change=st.integers(1, 255))
def test_a_changed_cursor_is_refused(place: int, change: int) -> None:
    """Every character counts; the last few bits of base64 that mean nothing do not."""
    cursor = SEAL.cursor(ID, 100)
    place %= len(cursor) - 1
    changed = cursor[:place] + chr((ord(cursor[place]) + change) % 256) + cursor[place + 1 :]
    with pytest.raises(UsageError, match="cursor"):
        SEAL.offset(ID, changed)


@given(given_=st.text(max_size=600))
def test_any_other_text_is_refused(given_: str) -> None:
    with pytest.raises(UsageError):
        SEAL.offset(ID, given_)


def test_a_cursor_of_another_artifact_or_home_is_refused() -> None:
    for other in (SEAL.cursor(ID[:-1] + "2", 1), Seal(b"b" * 32).cursor(ID, 1)):
        with pytest.raises(UsageError):
            SEAL.offset(ID, other)


def test_a_signature_is_bound_to_all_it_says() -> None:
    said = ("GET", ID, "csv", 1_000)
    signature = SEAL.signature(*said)
    assert SEAL.is_signed(*said, signature)
    for other in (
        ("PUT", ID, "csv", 1_000),
        ("GET", ID + "0", "csv", 1_000),
        ("GET", ID, "json", 1_000),
        ("GET", ID, "csv", 1_001),
    ):
        assert not SEAL.is_signed(*other, signature), other
    assert not Seal(b"b" * 32).is_signed(*said, signature)
    assert not SEAL.is_signed(*said, "é") and not SEAL.is_signed(*said, "")
