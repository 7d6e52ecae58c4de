"""Says whether a matched value looks like a real secret or like a placeholder, a template, or a plain name.

These are the allow-lists of the chain, written as shapes instead of lists of known strings: a template variable, one
repeated character, a documentation example, an alphabet, dotted or dashed words. All functions are pure and linear.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from math import log2

TRIVIAL_CHARS_MAX = 3
"""Values this short or shorter are not worth a mark, and redacting them would eat ordinary words."""


def entropy_bits(value: bytes) -> float:
    """Shannon entropy in bits per byte; 0.0 for the empty value."""
    size = len(value)
    return -sum(n / size * log2(n / size) for n in Counter(value).values())


_TEMPLATE = re.compile(
    rb"""(?x) \$\{?[A-Za-z_0-9]+\}?      # $NAME ${NAME} $1
    | \$\{[^}]*\} | \$\(.*\)?            # ${NAME:-x} $(command)
    | \$?\{\{.*                          # {{ .Values.x }} ${{ env.X }}
    | \{[A-Za-z_]*\} | <[^<>]*>                 # {name} <name>
    | %\w+% | %\(?\w*\)?[a-z] | @\w+@    # %NAME% %s %(name)s @NAME@
    | `.*                                # `command`
    | \[[A-Za-z_ ]*\]""",
    re.DOTALL,
)
_VARIABLE = re.compile(rb"\$\w+|%\w+%|\{[A-Za-z_]*\}|@\w+@|[x*.]+")
_FILLER = re.compile(rb"(?i)[x*._#?0-]*|(.)\1*", re.DOTALL)
_EXAMPLE = re.compile(
    rb"(?i)example|placeholder|change[_-]?me|your[_-]?|insert[_-]|dummy|redacted|replace[_-]?(?:me|with)|x{6}|\*{4}|\.\.\.$"
)
_SAMPLE_WORDS = re.compile(
    rb"(?i)[a-z_\s.-]*(?:example|placeholder|change[_-]?me|your|dummy|redacted|replace)[a-z_\s.-]*"
)
_ALPHABET = re.compile(rb"abcdefghijklmnopqrstuvwx|ABCDEFGHIJKLMNOPQRSTUVWX")
_CONSTANT = re.compile(
    rb"(?i)(?:true|false|null|none|nil|undefined|yes|no|on|off|empty|unset|string|bytes|str|bearer|basic)"
)


def is_placeholder(value: bytes) -> bool:
    """True for templates, fillers (`xxxxxx`, `00000`), alphabets, and values with a documentation word in them."""
    return _is_stand_in(value) or bool(_EXAMPLE.search(value) or _ALPHABET.search(value))


def is_trivial(value: bytes) -> bool:
    """True when a value under a secret name is too short or too plain to be a secret.

    Stricter than `is_placeholder`: `Server=db.example.com;Password=...` has a documentation word and a real secret.
    """
    value = value.strip()
    return len(value) <= TRIVIAL_CHARS_MAX or _is_stand_in(value) or bool(_SAMPLE_WORDS.fullmatch(value))


def _is_stand_in(value: bytes) -> bool:
    return bool(_TEMPLATE.fullmatch(value) or _FILLER.fullmatch(value) or _CONSTANT.fullmatch(value))


_SEGMENT = re.compile(rb"[A-Z]?[a-z]*\d{0,5}|[A-Z]+\d{0,5}|\d{1,5}[a-z]{0,2}")
_CAMEL = re.compile(rb"(?:[A-Z]?[a-z]+|[A-Z]+(?![a-z]))\d{0,3}")
_DOTTED_NAME = re.compile(rb"[A-Za-z_$][A-Za-z_]*\d{0,6}(?:\.[A-Za-z_][A-Za-z_0-9]*\d{0,3})+")
_DIGIT = re.compile(rb"\d")


def is_wordy(value: bytes) -> bool:
    """True for identifiers, file names and versions: words joined by `-`, `_`, `.`, each with few digits."""
    if not _DIGIT.search(value) or _DOTTED_NAME.fullmatch(value):
        return True
    parts = [part for part in re.split(rb"[-_.=/]", value) if part]
    return len(parts) > 1 and all(_SEGMENT.fullmatch(part) or _is_camel(part) for part in parts)


def _is_camel(part: bytes) -> bool:
    return bool(re.fullmatch(rb"(?:[A-Z][a-z]{2,}\d{0,3})+|[a-z]{3,}(?:[A-Z][a-z]{2,}\d{0,3})+", part))


_VERSION = re.compile(rb"(?i)v?\w{0,4}\d+\.\d+\.\d+[\w.+-]*|.*-SNAPSHOT")
_SECRET_WORD = re.compile(
    rb"(?:^|[^A-Za-z]|(?<=[a-z])(?=[A-Z]))"
    rb"(?:[Aa]ccess|ACCESS|[Aa]uth|AUTH|[Aa]pi|API|[Cc]redentials?|CREDENTIALS?|[Cc]reds|CREDS|[Kk]ey|KEY|"
    rb"[Pp]ass(?:w(?:or)?d)?|PASS(?:W(?:OR)?D)?|[Ss]ecret|SECRET|[Tt]oken|TOKEN)s?(?:$|[^a-z]|(?<=[a-z])(?=[A-Z]))"
    rb"|(?i:passw(?:or)?d|secret|api_?key|(?:auth|access)_?(?:token|key))"
)
_PLAIN_TAIL = re.compile(
    rb"(?:^|[\W_]|(?<=[a-z]))(?i:id|ids|name|url|uri|urn|file|path|dir|folder|version|type|kind|size|len|length|count|"
    rb"chars|source|src|method|pair|pressed|selector|host|port|index|idx|label|title|class|format|algorithm|alg|level|"
    rb"mode|scope|scopes|date|time|expiry|expires|ttl|hash|checksum|digest|column|field|meshing|code|status|policy|"
    rb"provider|endpoint|server|domain|region|group|role)s?[\s\"'\\]*$"
)
_PUBLIC = re.compile(
    rb"(?i)public|csrf|xsrf|keyboard|keyword|keyframe|primary_?key|foreign_?key|cache_?key|sort_?key|page_?token|uuid"
)
_OPERATOR = re.compile(rb"=|>|:|\|\||,")


def name_is_secret(name: bytes) -> bool:
    """Whether an identifier speaks of a secret: a whole secret word in it, and no tail such as `_id` or `_path`."""
    if _PUBLIC.search(name) or _PLAIN_TAIL.search(name):
        return False
    return bool(_SECRET_WORD.search(name))


def _generic(match: bytes, value: bytes) -> bool:
    """A value after `key =`, `token:` and the like, known by name and randomness only."""
    name = _OPERATOR.split(match[: match.rfind(value)], maxsplit=1)[0]
    if is_placeholder(value) or _VERSION.fullmatch(value) or is_wordy(value):
        return False
    return name_is_secret(name.strip(b" \t\r\n\"'\\"))


_CODE = re.compile(rb"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*\.?")
_SCREAMING = re.compile(rb"[A-Z_]+")
_ELIDED = re.compile(rb"(?i)x{6}|\*{4}|\.\.\.\Z")
_PATH = re.compile(rb"(?:[~.]{0,2}|[A-Za-z]:)[\\/][^=]*")


def _assignment(match: bytes, value: bytes) -> bool:
    """An unquoted value after `SOME_PASSWORD=`: anything but a template, a name in code, or a path."""
    name = match[: match.rfind(value)]
    if is_trivial(value) or _ELIDED.search(value) or _PATH.fullmatch(value) or _SCREAMING.fullmatch(value):
        return False
    if _PUBLIC.search(name):
        return False
    if _CODE.fullmatch(value) and not _DIGIT.search(value):
        return name.upper() == name and b"." not in value and b"_" not in value
    return not value.replace(b".", b"", 1).isdigit() or len(value) > 5


def _quoted(match: bytes, value: bytes) -> bool:
    """A quoted value after a password-like name."""
    name = match[: match.rfind(value)]
    return not (is_trivial(value) or _PUBLIC.search(name) or _PATH.fullmatch(value) or b"  " in value)


def _plain(match: bytes, value: bytes) -> bool:
    return not is_placeholder(value)


_USER_PASSWORD = re.compile(rb"[\"']?(.*?)[\"']?:[\"']?(.*?)[\"']?", re.DOTALL)
_SAMPLE = re.compile(
    rb"(?i)(?:my|the|your|some)?[-_]?(?:user(?:name)?|login|pass(?:word)?|passwd|pwd|secret|token|test|x{3,})"
)


def _credential(match: bytes, value: bytes) -> bool:
    """A `user:password` pair, either half of which may be empty, or a password alone: not samples, not templates."""
    pair = _USER_PASSWORD.fullmatch(value)
    halves = [half for half in (pair.groups() if pair else (value,)) if half]
    password = halves[-1] if halves else b""
    if _is_variable(password) or (pair and all(_SAMPLE.fullmatch(half) for half in halves)):
        return False
    return len(password) >= TRIVIAL_CHARS_MAX


def _is_variable(value: bytes) -> bool:
    return bool(_VARIABLE.fullmatch(value)) or value.startswith((b"$(", b"${", b"{{", b"<"))


def _opaque(match: bytes, value: bytes) -> bool:
    """A bearer-like value: random enough to hold a digit, not a word."""
    return not is_placeholder(value) and _DIGIT.search(value) is not None


def _not_camel(match: bytes, value: bytes) -> bool:
    """A value whose shape `object.methodName` has too."""
    return not is_placeholder(value) and not _is_camel(value.rpartition(b".")[2])


def _look(match: bytes, value: bytes) -> bool:
    """Never a secret by itself: the pattern only makes the chain look at the JSON field it saw."""
    return False


CHECKS: Mapping[str, Callable[[bytes, bytes], bool]] = {
    "": _plain,
    "generic": _generic,
    "assignment": _assignment,
    "quoted": _quoted,
    "credential": _credential,
    "opaque": _opaque,
    "not_camel": _not_camel,
    "look": _look,
}
"""Extra tests a rule can name: (whole match with the name it began in, secret) -> keep it?"""
