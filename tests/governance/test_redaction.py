"""Redaction: secrets go, everything else stays, and equal secrets leave equal marks."""

from __future__ import annotations

import doctest
import gzip
import json
import re
import time
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdesk.governance.redaction import JsonValue, Redactor
from cdesk.governance.redaction.rule import Rule, load_rules

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
VECTORS = DATA / "gitleaks" / "vectors.jsonl.gz"
NAUGHTY = DATA / "naughty-strings" / "blns.json"
TRANSCRIPTS = DATA / "transcripts"

MARK = re.compile(r"\[redacted:[a-z0-9-]+:[0-9a-f]{8}\]")
AWS = "AKIA" + "Q3EGX7ZMNW2BTL5R"
GITHUB = "ghp_" + "x7Kq2mVb9TzRw4LpYc1NsDf8HjGe3AuQ6oXi"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDAC4AWkdwKYSd8\nKs14IReLcYgADhoXk56ZzXI="
PEM = "-----BEGIN PRIVATE KEY-----\n" + PEM_BODY + "\n-----END PRIVATE KEY-----"

redactor = Redactor(b"a key for tests, 16+ bytes")


class Vector(TypedDict, total=False):
    rule: str
    text: str
    expected: bool
    secrets: list[str]
    clean_only_with_rule_allowlist: bool


def vectors() -> list[Vector]:
    if not VECTORS.exists():
        pytest.skip(f"the secret vectors are not at {VECTORS}")
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def line_of(text: str) -> str:
    """The text as it comes back from a JSON line."""
    clean: str = json.loads(redactor.line(json.dumps({"content": text}).encode()))["content"]
    return clean


class TestMarks:
    def test_a_mark_names_the_rule_and_a_fingerprint(self) -> None:
        """The reader learns what kind of secret stood there, never which."""
        clean = redactor.text(f"key is {AWS} ok")
        assert re.fullmatch(r"key is \[redacted:aws-access-token:[0-9a-f]{8}\] ok", clean)

    def test_equal_secrets_leave_equal_marks_and_other_secrets_other_marks(self) -> None:
        """Marks can be counted: how many different keys, and how often each."""
        first, again, other = MARK.findall(redactor.text(f"{AWS} {AWS} {AWS[:-1]}Z"))
        assert first == again != other

    def test_another_key_gives_another_fingerprint(self) -> None:
        """Without the key nobody can check a guess against a mark."""
        assert Redactor(b"another key of 16 bytes").text(AWS) != redactor.text(AWS)

    def test_a_short_key_is_refused(self) -> None:
        """A guessable key would make the fingerprints guessable."""
        with pytest.raises(ValueError, match="at least 16"):
            Redactor(b"short")

    def test_text_cannot_hide_a_secret_by_looking_like_a_mark(self) -> None:
        """Only marks that name a rule of ours are left alone."""
        assert AWS not in redactor.text(f"[redacted:{AWS}:deadbeef]")

    def test_counts_say_which_rules_fired_and_can_be_reset(self) -> None:
        """The caller reads and clears a plain Counter."""
        own = Redactor(b"a key for tests, 16+ bytes")
        own.text(f"{AWS} {AWS}")
        own.json({"password": "hunter2"})
        assert own.counts == {"aws-access-token": 2, "secret-field": 1}
        own.counts.clear()
        assert not own.counts


FOUND = [
    ("export SERVICE_TOKEN=abc123def", "abc123def"),
    ("DB_PASSWORD=hunter2!!", "hunter2!!"),
    ("DB_PASSWORD=example123", "example123"),
    ("password: hunter2\nport: 5432", "hunter2"),
    ('password = "correct horse"', "correct horse"),
    ("postgres://bob:s3cr3tpw@db.host:5432/x", "s3cr3tpw"),
    ("redis://:p4ssw0rd@host:6379/0", "p4ssw0rd"),
    ("bob:pwd123@tcp(127.0.0.1:3306)/db", "pwd123"),
    ("Server=x;User Id=sa;Password=Pa55w0rd!;Database=y", "Pa55w0rd!"),
    ("Authorization: Basic dXNlcjpwYXNzMTIzNDU2", "dXNlcjpwYXNzMTIzNDU2"),
    ("authorization: Bearer q7Wz9KpLm2Xc4Vb8Nt6R", "q7Wz9KpLm2Xc4Vb8Nt6R"),
    ("curl -u bob:h0pk1ns~21s https://x.test", "h0pk1ns~21s"),
    ("mysql --password hunter22 -u root", "hunter22"),
    ("call(['--api-key', 'hunter2222'])", "hunter2222"),
    ('{\\"password\\": \\"hunter2\\"}', "hunter2"),
    ("token sk-ant-oat01-q7Wz9KpLm2Xc4Vb8Nt6Rq7Wz9KpLm2Xc", "q7Wz9KpLm2Xc4Vb8"),
    ("GITHUB " + GITHUB, GITHUB),
    ("machine x login bob password hunter2", "hunter2"),
    (PEM, PEM_BODY),
    (PEM.replace("\n", "\\n"), PEM_BODY.splitlines()[0]),
    (PEM[:-40], PEM_BODY.splitlines()[0]),
    ("tail of it\n" + PEM_BODY + "\n-----END PRIVATE KEY-----\n", PEM_BODY.splitlines()[0]),
    ("kind: Secret\ndata:\n  a: YWRtaW46cGFzc3dvcmQ=\n  b: c2Vjb25kIHNlY3JldA==\n", "c2Vjb25kIHNlY3JldA=="),
]

KEPT = [
    "token=token, password=password, key=lambda x: x[1]",
    "api_key=settings.API_KEY",
    "password = getpass.getpass()",
    "const token = await getToken(userId)",
    "https://user:${PASSWORD}@host/x and https://host:8080/a@b",
    "git@github.com:owner/repository.git",
    "PWD=/home/someone/work",
    "secret: true",
    "password: string;",
    'print(f"token={token!r}")',
    "-----BEGIN PRIVATE KEY-----\nanything\n-----END PRIVATE KEY-----",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "f6a0c1de-3b5d-4f3a-9a57-2d9a3c0f8b11",
    "API_KEY=<your key here> PASSWORD=******** TOKEN=${TOKEN:-none}",
    '{"usage": {"input_tokens": 1234567890, "cache_creation_input_tokens": 99}}',
]


class TestText:
    @pytest.mark.parametrize(("text", "secret"), FOUND)
    def test_a_secret_is_gone(self, text: str, secret: str) -> None:
        """By shape, by name or by place; in text and inside a JSON line alike."""
        assert secret not in redactor.text(text)
        assert secret not in line_of(text)

    @pytest.mark.parametrize("text", KEPT)
    def test_code_and_templates_stay(self, text: str) -> None:
        """A transcript full of marks is of no use."""
        assert redactor.text(text) == text

    def test_text_without_secrets_is_the_same_object(self) -> None:
        """Nothing is copied when nothing is found."""
        text = "nothing to see " * 10
        assert redactor.text(text) is text

    def test_what_stands_around_a_secret_stays(self) -> None:
        """Only the secret goes: the name, the quotes and other alphabets stay."""
        assert MARK.sub("*", redactor.text(f'é = "{AWS}" # 鍵 \ud800')) == 'é = "*" # 鍵 \ud800'

    def test_naughty_strings_come_back_byte_equal(self) -> None:
        """Odd text is not secret text."""
        if not NAUGHTY.exists():
            pytest.skip(f"the naughty strings are not at {NAUGHTY}")
        naughty: list[str] = json.loads(NAUGHTY.read_text(encoding="utf-8"))
        assert [text for text in naughty if redactor.text(text) != text] == []
        raw = json.dumps(naughty).encode()
        assert redactor.line(raw) == raw


class TestJson:
    def test_structure_is_kept_and_only_strings_change(self) -> None:
        """Keys, order, numbers, nulls and nesting are as they were."""
        value: JsonValue = {
            "n": 1.5,
            "list": [None, True, {"text": f"use {AWS}"}],
            "password": "hunter2",
            "token": 7,
        }
        clean = redactor.json(value)
        assert shape(clean) == shape(value)
        assert AWS not in str(clean) and "hunter2" not in str(clean)

    @pytest.mark.parametrize(
        "name",
        [
            "password",
            "dbPassword",
            "PASSWD",
            "token",
            "clientSecret",
            "api_key",
            "X-Api-Key",
            "Authorization",
        ],
    )
    def test_a_value_under_a_secret_name_goes_whole(self, name: str) -> None:
        """Whatever its shape: the name says it all."""
        clean = redactor.json({name: "plain words, no shape"})
        assert isinstance(clean, dict)
        assert MARK.fullmatch(str(clean[name]))

    @pytest.mark.parametrize("value", ["", "no", "true", "null", "${PASSWORD}", "<password>", "********", "changeme"])
    def test_a_trivial_value_under_a_secret_name_stays(self, value: str) -> None:
        """Nothing to protect."""
        assert redactor.json({"password": value}) == {"password": value}

    @pytest.mark.parametrize("name", ["nextPageToken", "public_key", "csrf_token", "input_tokens_details", "keyboard"])
    def test_names_that_only_sound_secret_stay(self, name: str) -> None:
        """A page token opens nothing."""
        assert redactor.json({name: "ordinary value"}) == {name: "ordinary value"}

    def test_a_flag_in_a_list_names_the_next_element(self) -> None:
        """Commands are often recorded as lists of arguments."""
        clean = redactor.json(["login", "--password", "hunter two", "--verbose", "yes please"])
        assert isinstance(clean, list)
        assert MARK.fullmatch(str(clean[2]))
        assert clean[3:] == ["--verbose", "yes please"]

    def test_a_key_lends_its_meaning_to_its_value(self) -> None:
        """Forty hex digits are a secret when the key says whose."""
        digits = "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334"
        assert redactor.json({"other": digits}) == {"other": digits}
        assert digits not in str(redactor.json({"datadog": digits}))

    def test_a_secret_used_as_a_key_goes_too(self) -> None:
        """Secrets land on disk from either side of the colon."""
        assert AWS not in str(redactor.json({AWS: 1}))

    def test_the_input_is_left_alone(self) -> None:
        """The chain is pure."""
        value: JsonValue = {"password": ["hunter2"]}
        redactor.json(value)
        assert value == {"password": ["hunter2"]}


class TestLine:
    def test_a_quiet_line_is_the_same_object(self) -> None:
        """The common case costs one pass and no copy."""
        raw = b'{"type": "user", "n": 1.0, "text": "hello\\nworld"}'
        assert redactor.line(raw) is raw

    def test_a_secret_split_by_escapes_is_found(self) -> None:
        """A PEM block in JSON has backslash-n between its lines."""
        raw = json.dumps({"content": f"x\n{PEM}\ny"}).encode()
        assert re.fullmatch(r"x\n\[redacted:private-key:\w{8}\]\ny", json.loads(redactor.line(raw))["content"])

    def test_unicode_escapes_hide_nothing(self) -> None:
        """JSON may write any letter as \\uXXXX."""
        hidden = "".join(f"\\u{ord(char):04x}" for char in AWS)
        assert "[redacted:aws" in redactor.line(f'{{"a":"{hidden}"}}'.encode()).decode()

    def test_a_value_that_begins_with_a_quote_is_found_under_its_name(self) -> None:
        """The field rule does not depend on how the value looks."""
        assert b"hunter" not in redactor.line(json.dumps({"password": '"\\hunter two'}).encode())

    def test_duplicate_keys_and_number_formats_survive(self) -> None:
        """Both values of a doubled key are cleaned, and 1e400 stays 1e400."""
        raw = b'{"password":"hunter2","n":1e400,"password":"hunter3"}'
        clean = redactor.line(raw)
        assert b"hunter" not in clean
        assert re.sub(rb"\[redacted:[^\]]*\]", b"*", clean) == b'{"password":"*","n":1e400,"password":"*"}'

    def test_a_cut_off_line_is_still_cleaned(self) -> None:
        """A crash may leave half a line; half a line may hold a whole secret."""
        assert AWS.encode() not in redactor.line(b'{"a":"' + AWS.encode())
        assert b"hunter2" not in redactor.line(b'{"password":"hunter2')

    def test_bytes_that_are_not_utf8_do_not_stop_it(self) -> None:
        """Whatever comes, the secret goes."""
        assert AWS.encode() not in redactor.line(b'{"a":"\xff ' + AWS.encode() + b' \xfe"}')


STRINGS = st.one_of(
    st.text(max_size=30),
    st.sampled_from([AWS, GITHUB, PEM, "hunter2", "a=b", 'q"\\\n', "password", "--token", "x" * 12, "token: ab12cd34"]),
    st.sampled_from([text for text, _ in FOUND]),
)
KEYS = st.one_of(st.sampled_from(["password", "api_key", "text", "token", "auth", "secrets"]), st.text(max_size=8))
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), STRINGS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def shape(value: JsonValue) -> object:
    """The value with every string, and every key, made the same."""
    if isinstance(value, dict):
        return [(isinstance(name, str), shape(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "" if isinstance(value, str) else value


class TestProperties:
    @settings(max_examples=300, deadline=None)
    @given(st.lists(STRINGS, max_size=6).map(" ".join))
    def test_redacting_twice_changes_nothing_more(self, text: str) -> None:
        """Lines may pass the chain again on retry or import."""
        once = redactor.text(text)
        assert redactor.text(once) == once

    @settings(max_examples=300, deadline=None)
    @given(VALUES)
    def test_json_is_idempotent_and_keeps_its_shape(self, value: JsonValue) -> None:
        """Any nesting, any strings."""
        once = redactor.json(value)
        assert shape(once) == shape(value)
        assert redactor.json(once) == once

    @settings(max_examples=300, deadline=None)
    @given(VALUES, st.booleans())
    def test_a_line_gives_what_its_value_gives(self, value: JsonValue, ascii_only: bool) -> None:
        """The fast path may skip work, never secrets."""
        raw = json.dumps({"v": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        clean = redactor.line(raw)
        assert json.loads(clean) == redactor.json({"v": value})
        assert redactor.line(clean) == clean


HOSTILE = {
    "open keys": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n",
    "ends of keys": "-----END PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n",
    "names": "password_token_secret_key_",
    "assignments": "api_key = aaaa1bbb2 token: ",
    "almost jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
    "colons": "://a:",
    "quotes": "\\\"'",
    "marks": "[redacted:jwt:0123abcd] ghp_",
    "kubernetes": "kind: Secret\ndata:\n  a: x\n",
    "curl": "curl -u 'a: ",
    "alnum": "a1B2",
}


def seconds(text: str) -> float:
    raw = json.dumps({"a": text}).encode()
    took = []
    for _ in range(3):
        start = time.process_time()
        redactor.text(text)
        redactor.line(raw)
        redactor.line(raw[: len(raw) - 2])
        took.append(time.process_time() - start)
    return min(took)


class TestLinearTime:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_time_grows_with_the_text_not_its_square(self, name: str) -> None:
        """Sixteen times the text may cost some forty times at most; a quadratic matcher would cost 256 times."""
        small = HOSTILE[name] * (20_000 // len(HOSTILE[name]))
        seconds(small)
        assert seconds(small * 16) <= 48 * max(seconds(small), 0.002)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_secret_after_hostile_text_is_still_found(self, name: str) -> None:
        """The automaton may run out of room for states, never out of sight."""
        assert AWS not in redactor.text(HOSTILE[name] * (200_000 // len(HOSTILE[name])) + f"\n\n {AWS} ")


QUIET = b'{"text":"nothing to see, twice over"}'


def suspected_alone(raw: bytes) -> bool:
    """By the look that `line` itself takes."""
    return redactor.suspects([raw]) == [0]


class TestTogether:
    """Lines looked at in one pass are found as they are found alone: nothing hides at the joints."""

    def test_every_vector_is_found_between_quiet_lines(self) -> None:
        """As it stands, its edges being the edges of the text, and as a JSON line; in front, in the middle and at the end."""
        texts = [case["text"].encode() for case in vectors()]
        raws = [*texts, *(json.dumps({"content": case["text"]}).encode() for case in vectors())]
        for raw in raws:
            found = [0] if suspected_alone(raw) else []
            assert redactor.suspects([raw, QUIET]) == found
            assert redactor.suspects([QUIET, raw, QUIET]) == [index + 1 for index in found]
            assert redactor.suspects([QUIET, raw]) == [index + 1 for index in found]

    def test_the_secrets_themselves_are_found_at_the_edges(self) -> None:
        """Some rules ask for the end of the text behind a secret."""
        for case in vectors():
            for secret in case.get("secrets", []):
                raw = secret.encode()
                assert redactor.suspects([QUIET, raw, QUIET]) == ([1] if suspected_alone(raw) else [])

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_many_lines_give_what_each_gives(self, data: st.DataObject) -> None:
        """Secrets, parts of secrets that a neighbour could complete, and quiet lines, in any order."""
        pieces = data.draw(st.lists(st.sampled_from(_pieces()), min_size=2, max_size=12))
        assert redactor.suspects(pieces) == [index for index, raw in enumerate(pieces) if suspected_alone(raw)]
        assert all(
            redactor.line(raw) is raw for index, raw in enumerate(pieces) if index not in redactor.suspects(pieces)
        )

    def test_real_lines_give_what_each_gives(self) -> None:
        """Whole transcripts, sixteen lines at a time."""
        if not TRANSCRIPTS.exists():
            pytest.skip(f"the transcripts are not at {TRANSCRIPTS}")
        lines = [line for path in sorted(TRANSCRIPTS.rglob("*.jsonl"))[:40] for line in path.read_bytes().splitlines()]
        for at in range(0, len(lines), 16):
            batch = lines[at : at + 16]
            assert redactor.suspects(batch) == [index for index, raw in enumerate(batch) if suspected_alone(raw)]

    @pytest.mark.parametrize(
        "pattern", [r"^k\d{9}$", r"\Ak\d{9}\z", r"\bk\d{9}\b", r"(?:^|;)k\d{9}(?:;|\z)", r"\\zk\d{9}"]
    )
    def test_the_edge_of_a_text_is_the_edge_of_its_line(self, pattern: str) -> None:
        """Whatever word a rule has for it."""
        own = Redactor(b"a key for tests, 16+ bytes", [Rule("edge", pattern, 0, 0.0, (), "", gated=False, rank=0)])
        for raw in (b"k123456789", rb"\u005c\u005czk123456789"):
            found = [0] if own.suspects([raw]) else []
            assert own.suspects([raw, b"a"]) == found
            assert own.suspects([b"a", raw, b"a"]) == own.suspects([b"a", raw]) == [index + 1 for index in found]
        assert own.suspects([b"k123456789"]) == [0] or "z" in pattern

    def test_no_rule_switches_lines_off(self) -> None:
        """`line_wise` counts on it: a rule with `(?-m)` could mean the edge of the text alone."""
        assert not [rule.name for rule in load_rules() if re.search(r"\(\?[a-z]*-[a-z]*m", rule.pattern)]


@cache
def _pieces() -> list[bytes]:
    texts = [case["text"].encode() for case in vectors() if len(case["text"]) < 400]
    return [
        QUIET,
        b"",
        b'"',
        b"\\",
        *texts,
        *(text[: len(text) // 2] for text in texts),
        *(text[len(text) // 2 :] for text in texts),
    ]


class TestQuality:
    """Counts on the known vectors, so these are gates, not timings."""

    @pytest.mark.parametrize("way", [redactor.text, line_of], ids=["text", "line"])
    def test_at_least_99_percent_of_the_secrets_are_gone(self, way: type[str]) -> None:
        """Every `secrets` string of every must-find text."""
        cases = [case for case in vectors() if case["expected"]]
        total = sum(len(case["secrets"]) for case in cases)
        left = [
            (case["rule"], secret)
            for case in cases
            for clean in [way(case["text"])]
            for secret in case["secrets"]
            if secret and secret in clean
        ]
        assert len(left) <= total * 0.01, left[:20]

    def test_at_most_1_percent_of_the_must_not_find_texts_raise_their_rule(self) -> None:
        """Texts that only upstream's lists of known strings keep clean are left out: no shape tells them apart."""
        cases = [case for case in vectors() if not case["expected"] and not case["clean_only_with_rule_allowlist"]]
        raised = [case["text"] for case in cases if f"[redacted:{case['rule']}:" in redactor.text(case["text"])]
        assert len(raised) <= len(cases) * 0.01, raised

    def test_transcripts_come_through_nearly_unmarked(self) -> None:
        """On real transcripts fewer than one line in two hundred changes, and every line stays JSON."""
        if not TRANSCRIPTS.exists():
            pytest.skip(f"the transcripts are not at {TRANSCRIPTS}")
        lines = [line for path in TRANSCRIPTS.rglob("*.jsonl") for line in path.read_bytes().splitlines() if line]
        changed = [clean for line in lines if (clean := redactor.line(line)) is not line]
        assert len(changed) <= len(lines) / 200
        assert all(json.loads(line) for line in changed)


def test_the_examples_of_the_page_run() -> None:
    """docs/governance.md says what happens."""
    page = Path(__file__).resolve().parents[2] / "docs" / "governance.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried and not failed
