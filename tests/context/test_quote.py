"""What came from outside is data: it cannot leave its quotation, its line, or be unseen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.context.hostile import HOSTILE

from cdesk.context.quote import QUOTED_CHARACTERS_MAX, quoted

CLOSES = '"“”„‟«»＂<>＜＞﹤﹥'


def _is_data(text: str, characters_max: int = QUOTED_CHARACTERS_MAX) -> None:
    assert text[0] == text[-1] == '"' and len(text) <= characters_max + 2
    inside = text[1:-1]
    assert not set(inside) & set(CLOSES)
    assert len(inside.splitlines()) <= 1
    for character in inside:
        assert unicodedata.category(character)[0] != "C" and unicodedata.category(character) not in ("Zl", "Zp")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_data(name: str) -> None:
    """One line, in quotation marks that nothing in it ends, with nothing unseen, of a bounded length."""
    _is_data(quoted(HOSTILE[name]))


@given(st.text(st.characters(), max_size=400), st.integers(1, 300))
def test_every_text_is_data(text: str, characters_max: int) -> None:
    """Whatever Unicode has to offer."""
    _is_data(quoted(text, characters_max), characters_max)


def test_what_is_harmless_is_told_as_it_is() -> None:
    """Paths, code and other scripts."""
    for text in ("src/größe.py", "a[0] = {'x': 1} # ok", "検索 поиск café", "x² ≤ ½", "C:\\Users\\ada"):
        assert quoted(text) == f'"{text}"'


def test_hidden_text_is_gone_not_moved() -> None:
    """What cannot be seen by a person is not told to Claude either."""
    assert quoted(HOSTILE["tag characters"]) == '"hello"'
    assert quoted(HOSTILE["zero width"]) == '"password"'
    assert quoted(HOSTILE["blank letters"]) == '"abcdefgh"'


def test_a_cut_is_seen() -> None:
    """And what comes after it is not told."""
    assert quoted("abcdef", 4) == '"abc…"'
    assert "obey" not in quoted(HOSTILE["long with its order at the end"])
