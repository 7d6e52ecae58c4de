"""An id is a fingerprint of the fact: stable, well-formed, and different for different facts."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdesk.activity.identity import activity_id

parts = st.lists(st.text(), min_size=1, max_size=4)


def test_ids_never_change_between_versions() -> None:
    """Rows of years refer to each other by these; a changed rule would tell every fact a second time."""
    assert activity_id("tool", "toolu_01") == "a875c335-6527-8171-9e3d-e39febd993cb"
    assert activity_id("response", "msg_1", "req_1") == "44ea593f-72a4-80a9-8fdc-b8fd0d6a022f"
    assert activity_id("line", "é\x00") == "f312dee9-8bbe-807a-9434-f3691f162235"


@given(parts)
def test_every_id_is_a_uuid_of_version_8(names: list[str]) -> None:
    """RFC 9562's layout, in the one spelling that databases give back."""
    text = activity_id(*names)
    found = UUID(text)
    assert (found.version, found.variant, str(found)) == (8, RFC_4122, text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f")), min_size=1, max_size=4))
def test_the_same_fact_has_the_same_id_and_no_other(names: list[str]) -> None:
    """The kind and each part count, and their borders do."""
    text = activity_id(*names)
    assert activity_id(*names) == text
    assert activity_id(*names, "") != text
    assert activity_id("other kind", *names) != text
    if len(names) > 1:
        assert activity_id("".join(names)) != text


@pytest.mark.parametrize("half", ["\ud83d", "\udc00x", "a\udfff"])
def test_half_an_emoji_is_no_obstacle(half: str) -> None:
    """Claude Code cuts texts in the middle of a character; such a text still names a fact."""
    assert UUID(activity_id("session", half))
