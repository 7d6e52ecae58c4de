"""Text that came from outside, as data: one line between quotation marks that it cannot leave.

What people typed, files were called and tools printed may try to speak to Claude. Here it becomes a quotation: nothing in
it breaks the line, ends the quotation, opens or closes a tag, turns the direction of writing or is invisible.
"""

from __future__ import annotations

import re
import unicodedata

QUOTED_CHARACTERS_MAX = 200
LOOKED_AT_MAX = 4_000
"""Beyond this nothing is read of a text that is cut to a few hundred characters anyway."""
MARKS_MAX = 2
"""Accents on one letter; more of them run into the lines above and below."""

_STANDS_FOR = str.maketrans(
    {
        **dict.fromkeys('"“”„‟«»‹›＂〝〞〟❝❞″‶`´＇', "'"),
        **dict.fromkeys("<＜﹤〈⟨⧼❮", "("),
        **dict.fromkeys(">＞﹥〉⟩⧽❯", ")"),
    }
)
"""What could end the quotation, or a tag that somebody puts around it."""
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for start, end in ((0xFE00, 0xFE10), (0xE0100, 0xE01F0), (0x180B, 0x1810)) for code in range(start, end)
}
"""Letters and marks that show nothing, though their category does not say so."""
_SPACE = re.compile(r"\s+")


def quoted(text: object, characters_max: int = QUOTED_CHARACTERS_MAX) -> str:
    """`"…"`, of at most `characters_max` characters between the marks; a cut ends with `…`."""
    line = plain(str(text)[:LOOKED_AT_MAX])
    if len(line) > characters_max or len(str(text)) > LOOKED_AT_MAX:
        line = line[: max(0, characters_max - 1)].rstrip() + "…"
    return f'"{line}"'


def is_unseen(character: str) -> bool:
    """Whether it shows nothing: control and format characters, what is no character, blank letters, selectors."""
    return unicodedata.category(character)[0] == "C" or character in BLANKS


def plain(text: str) -> str:
    """One line of what can be seen, that nothing in it can end."""
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in ("Zl", "Zp") or character in "\t\n\r\v\f\x85":
            kept.append(" ")
        elif category[0] != "C" and character not in BLANKS and marks <= MARKS_MAX:
            kept.append(character)
    return _SPACE.sub(" ", "".join(kept)).translate(_STANDS_FOR).strip()
