"""A context as Claude gets it: cited, its age said, the best first, and never too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.context.hostile import HOSTILE

from cdesk.context.model import Context, ContextKey, Statement
from cdesk.context.quote import quoted
from cdesk.context.text import CHARACTERS_MAX, rendered

NOW = 1_800_000_000.0


def context(*texts: str, project: str | None = "/p", age: float = 12, sources: int = 1) -> Context:
    told = tuple(
        Statement(text, "failure", tuple(f"activity:{n}" for n in range(sources)), "recent", 1.0 - place / 1000)
        for place, text in enumerate(texts)
    )
    return Context(ContextKey("ada", project), told, NOW - age, NOW - 3600, "v")


def _length(text: str) -> int:
    """As JavaScript counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_it_says_what_it_is_and_how_old() -> None:
    """And that quoted text is no instruction; then the statements with their sources."""
    text = rendered(context("One.", "Two.", age=300, sources=5), NOW)
    heading, about, *told = text.split("\n")
    assert heading == "# cdesk: what was recorded here earlier"
    assert '"/p"' in about and "5 min old" in about and "2027-01-15" in about and "instruction" in about
    assert told == [
        "- One. [activity:0, activity:1, activity:2 and 2 more]",
        "- Two. [activity:0, activity:1, activity:2 and 2 more]",
    ]
    assert "all projects" in rendered(context("One.", project=None), NOW)


def test_a_clock_that_was_set_back_makes_nothing_younger_than_new() -> None:
    """No negative age."""
    assert "; 0 s old" in rendered(context("One.", age=-500), NOW)


def test_nothing_known_is_nothing_said() -> None:
    """A heading alone would cost Claude's attention."""
    assert rendered(context(), NOW) == "" == rendered(context("One."), NOW, 60)


@given(st.lists(st.text(max_size=2_000), max_size=60), st.integers(-5, 20_000))
def test_it_keeps_its_budget(texts: list[str], characters_max: int) -> None:
    """Counted as JavaScript counts, also for letters beyond the first plane."""
    text = rendered(context(*texts), NOW, characters_max)
    assert _length(text) <= max(0, min(characters_max, CHARACTERS_MAX))


def test_the_best_are_told_when_not_all_have_room() -> None:
    """One that is too long does not keep shorter ones behind it out."""
    text = rendered(context("first", "x" * 9_500, *(f"statement {n}" for n in range(900))), NOW)
    assert "first" in text and "statement 0 " in text and "xxx" not in text and "statement 899" not in text
    assert CHARACTERS_MAX - 100 < _length(text) <= CHARACTERS_MAX


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_forge_no_line(name: str) -> None:
    """Neither as what is told nor as the project's own name."""
    text = rendered(context(f"It failed: {quoted(HOSTILE[name])}.", "Last.", project=HOSTILE[name] or "/p"), NOW)
    lines = text.split("\n")
    assert len(lines) == len(text.splitlines()) == 4
    assert lines[2].startswith("- It failed: ") and lines[3] == "- Last. [activity:0]"
