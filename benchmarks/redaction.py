"""Measures the redaction chain: recall and false alarms on known vectors, MB/s on transcripts, beside other engines.

    python benchmarks/redaction.py            a table
    python benchmarks/redaction.py --json     the same as one JSON object
    python benchmarks/redaction.py --derive   rebuild governance/rules/gitleaks.json from the upstream rules

Recall: share of `secrets` strings gone from the redacted text. False alarms, three readings of must-not-find texts:
`named` a mark of the vector's own rule appears (texts clean only through upstream's allow-lists left out), `listed`
the same on the texts left out, `touched` any rule changed the text at all (many hold another rule's real secret).
MB/s: median of several rounds, CPU time, one core, over raw transcript lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
RULES = REPOSITORY / "src" / "cdesk" / "governance" / "rules" / "gitleaks.json"
KEY = b"benchmark key, not secret"
ROUNDS = 5

sys.path.insert(0, str(REPOSITORY / "src"))


class Vector(TypedDict, total=False):
    rule: str
    text: str
    expected: bool
    secrets: list[str]
    clean_only_with_rule_allowlist: bool


class UpstreamRule(TypedDict, total=False):
    rule: str
    entropy: float
    secret_group: int
    keywords: list[str] | None
    regex_go: str


@dataclass(frozen=True)
class Quality:
    """Counts on the vectors; the shares are between 0 and 1."""

    secrets: int
    missed: int
    recall: float
    must_not_find: int
    named: int
    named_share: float
    listed: int
    listed_of: int
    touched: int
    touched_share: float


@dataclass(frozen=True)
class Speed:
    """One engine's throughput in MB/s of CPU time, and how many of the lines it flagged."""

    engine: str
    mb_per_s: float
    lines_flagged: int


def vectors() -> list[Vector]:
    with gzip.open(DATA / "gitleaks" / "vectors.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def transcript_lines() -> list[bytes]:
    paths = sorted((DATA / "transcripts").rglob("*.jsonl"))
    return [line for path in paths for line in path.read_bytes().splitlines() if line]


def quality(redact: Callable[[str], str], cases: Sequence[Vector]) -> Quality:
    total = missed = must_not = named = listed = listed_of = touched = 0
    for case in cases:
        clean = redact(case["text"])
        if case["expected"]:
            total += len(case["secrets"])
            missed += sum(1 for secret in case["secrets"] if secret and secret in clean)
            continue
        must_not += 1
        touched += clean != case["text"]
        own = f"[redacted:{case['rule']}:" in clean
        allowed = case.get("clean_only_with_rule_allowlist", False)
        listed_of += allowed
        named += own and not allowed
        listed += own and allowed
    strict = must_not - listed_of
    return Quality(
        total,
        missed,
        1 - missed / total,
        must_not,
        named,
        named / strict,
        listed,
        listed_of,
        touched,
        touched / must_not,
    )


def speed(engine: str, flags: Callable[[bytes], bool], lines: Sequence[bytes], rounds: int = ROUNDS) -> Speed:
    size = sum(map(len, lines))
    took: list[float] = []
    flagged = 0
    for _ in range(rounds):
        start = time.process_time()
        flagged = sum(1 for line in lines if flags(line))
        took.append(time.process_time() - start)
    return Speed(engine, round(size / statistics.median(took) / 1e6, 1), flagged)


def engines(lines: Sequence[bytes]) -> Iterator[Speed]:
    """Ours whole, then each way of asking "can any rule match this line?", then the plain per-rule loop."""
    from cdesk.governance.redaction import Redactor
    from cdesk.governance.redaction.lines import unescaped
    from cdesk.governance.redaction.rule import load_rules

    rules = load_rules()
    patterns = [rule.pattern for rule in rules]
    redactor = Redactor(KEY)
    yield speed("cdesk .line (RE2 set, then rules)", lambda line: redactor.line(line) is not line, lines)
    quiet = [line for line in lines if not redactor._scanner.sees(unescaped(line))]
    yield speed("cdesk .line, lines with no match", lambda line: redactor.line(line) is not line, quiet)
    texts = [unescaped(line) for line in lines]
    yield speed("  detect only: RE2 set", redactor._scanner.sees, texts)
    yield from _hyperscan(patterns, texts)
    yield from _aho_corasick(rules_keywords(), texts)
    yield _loop("re2, one rule after another", "re2", patterns, texts)
    yield _loop("re, one rule after another (baseline)", "re", patterns, texts)
    yield _keyword_loop(texts)


def rules_keywords() -> list[tuple[str, list[str]]]:
    upstream: list[UpstreamRule] = json.loads((DATA / "gitleaks" / "rules.json").read_text(encoding="utf-8"))
    return [(rule["regex_go"], rule["keywords"] or []) for rule in upstream if "regex_go" in rule]


def for_re(pattern: str) -> bytes:
    """RE2 syntax as `re` takes it: flags in the middle become scoped, `\\z` becomes `\\Z`, POSIX classes are spelt."""
    pattern = pattern.replace(r"\z", r"\Z").replace("[:alnum:]", "A-Za-z0-9")
    if pattern.startswith("(?i)"):
        return b"(?i)" + pattern[4:].replace("(?i)", "").encode()
    at = pattern.find("(?i)")
    while at >= 0:
        depth, end = 0, at
        while end < len(pattern) and depth >= 0:
            if pattern[end] == "\\":
                end += 2
                continue
            depth += {"(": 1, ")": -1}.get(pattern[end], 0)
            end += 1
        end -= depth < 0
        pattern = pattern[:at] + "(?i:" + pattern[at + 4 : end] + ")" + pattern[end:]
        at = pattern.find("(?i)")
    return pattern.encode()


def _any(results: Iterator[object]) -> bool:
    """Whether one is true, after running them all: a redactor has to know every rule that matches."""
    return sum(1 for result in results if result) > 0


SLOW_LINES = 400
"""The one-by-one engines are slow; they get a sample of the lines."""


def _loop(name: str, engine: str, patterns: Sequence[str], texts: Sequence[bytes]) -> Speed:
    searches: list[Callable[[bytes], object]]
    if engine == "re2":
        from cdesk.governance.redaction.engine import compiled

        searches = [compiled(pattern).search for pattern in patterns]
    else:
        searches = [re.compile(for_re(pattern)).search for pattern in patterns]
    sample = texts[:: max(1, len(texts) // SLOW_LINES)]
    return speed(name, lambda text: _any(search(text) for search in searches), sample, rounds=1)


def _keyword_loop(texts: Sequence[bytes]) -> Speed:
    """What upstream does, in `re`: one case-blind keyword search a rule, then the rule."""
    rules = [([word.lower().encode() for word in words], re.compile(for_re(p)).search) for p, words in rules_keywords()]

    def flags(text: bytes) -> bool:
        lowered = text.lower()
        return _any(search(text) for words, search in rules if any(word in lowered for word in words))

    sample = texts[:: max(1, len(texts) // SLOW_LINES)]
    return speed("re, keywords first, upstream rules", flags, sample, rounds=1)


def _hyperscan(patterns: Sequence[str], texts: Sequence[bytes]) -> Iterator[Speed]:
    if find_spec("hyperscan") is None:
        return
    import hyperscan  # type: ignore[import-not-found,unused-ignore]

    ready = [for_re(pattern).replace(rb"\Z", rb"\z") for pattern in patterns]
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY
    database.compile(expressions=ready, ids=list(range(len(ready))), flags=[flags] * len(ready))
    seen: list[int] = []

    def found(ident: int, start: int, end: int, flag: int, context: object) -> None:
        seen.append(ident)

    def flagged(text: bytes) -> bool:
        seen.clear()
        database.scan(text, match_event_handler=found)
        return bool(seen)

    yield speed("  detect only: hyperscan", flagged, texts)


def _aho_corasick(rules: Sequence[tuple[str, list[str]]], texts: Sequence[bytes]) -> Iterator[Speed]:
    words = sorted({word.lower() for _, keywords in rules for word in keywords})
    if find_spec("ahocorasick_rs") is not None:
        import ahocorasick_rs  # type: ignore[import-not-found,unused-ignore]

        finder = ahocorasick_rs.BytesAhoCorasick([word.encode() for word in words])
        find = finder.find_matches_as_indexes
        yield speed("  keywords only: ahocorasick_rs", lambda text: bool(find(text.lower())), texts)
    if find_spec("ahocorasick") is not None:
        import ahocorasick  # type: ignore[import-not-found,unused-ignore]

        automaton = ahocorasick.Automaton()
        for word in words:
            automaton.add_word(word, word)
        automaton.make_automaton()
        yield speed(
            "  keywords only: pyahocorasick",
            lambda text: bool({word for _, word in automaton.iter(text.decode("utf-8", "replace").lower())}),
            texts,
        )


REPLACED = {"curl-auth-header", "curl-auth-user", "private-key", "kubernetes-secret-yaml", "pkcs12-file"}
"""Upstream rules not derived: ours stand in their place (unbounded `.*`, one key of many), or they look at paths."""

WHOLE = {"jwt-base64", "microsoft-teams-webhook"}
"""Rules whose groups are parts of the secret: the whole match goes."""

GATED = {
    "azure-ad-client-secret",
    "facebook-access-token",
    "hashicorp-tf-api-token",
    "maxmind-license-key",
    "sourcegraph-access-token",
}
"""Rules that begin with a counted class, which makes the joint automaton large; their keyword is looked for first."""

ASSIGN = r"(?:[ \t\w.-]{0,20})[\s'\"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'\"\s=]{0,5}"
END = r"(?:[\x60'\"\s;]|\\[nr]|$)"
PREFIX = r"[\w.-]{0,50}?"


def derive() -> None:
    upstream: list[UpstreamRule] = json.loads((DATA / "gitleaks" / "rules.json").read_text(encoding="utf-8"))
    rules = [_derived(rule) for rule in upstream if rule["rule"] not in REPLACED]
    head = {
        "source": "https://github.com/gitleaks/gitleaks cmd/generate/config/rules",
        "commit": "b58d3f102cf3a2c84cb7f923d05c25c9b1aed84b",
        "licence": (DATA / "gitleaks" / "LICENSE").read_text(encoding="utf-8"),
        "changes": "Derived by `python benchmarks/redaction.py --derive`. Descriptions and path rules dropped; the "
        "leading optional name prefix dropped; the shared assignment and terminator became macros, and accept "
        "escaped quotes and the closing characters of code and URLs; unbounded dots narrowed; rules replaced by "
        "cdesk.json: " + ", ".join(sorted(REPLACED)) + ".",
        "macros": {
            "assign": r"(?:[ \t\w.-]{0,20})(?:[\s'\"]|\\+[\"']){0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)(?:[\x60'\"\s=]|\\+[\"']){0,5}",
            "end": r"(?:[\x60'\"\s;,&|)\]}<\\]|$)",
        },
    }
    body = ",\n  ".join(json.dumps(rule) for rule in rules)
    text = json.dumps(head, indent=1)[:-2] + ',\n "rules": [\n  ' + body + "\n ]\n}\n"
    RULES.write_text(text, encoding="utf-8")


def _derived(rule: UpstreamRule) -> dict[str, object]:
    pattern = rule["regex_go"].replace(ASSIGN, "{{assign}}").replace(ASSIGN.replace(r"\"", '"'), "{{assign}}")
    pattern = pattern.replace(END.replace(r"\"", '"'), "{{end}}")
    for start in ("(?i)" + PREFIX, PREFIX + "(?i:" + PREFIX):
        if pattern.startswith(start):
            pattern = start.replace(PREFIX, "") + pattern[len(start) :]
    pattern = pattern.replace('value=\\"(.{8,})\\"', 'value=\\"([^\\"\\n]{8,})\\"')
    derived: dict[str, object] = {"name": rule["rule"], "pattern": pattern}
    if rule["entropy"]:
        derived["entropy"] = rule["entropy"]
    if rule["secret_group"] or rule["rule"] in WHOLE:
        derived["group"] = rule["secret_group"]
    derived["keywords"] = rule["keywords"] or []
    if rule["rule"] in GATED:
        derived["gated"] = True
    if rule["rule"] == "generic-api-key":
        derived["check"] = "generic"
    if rule["rule"] == "vault-service-token":
        derived["check"] = "not_camel"
    return derived


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--derive", action="store_true", help="rebuild the rule file and stop")
    options = parser.parse_args()
    if options.derive:
        derive()
        return
    from cdesk.governance.redaction import Redactor

    redactor = Redactor(KEY)
    result = quality(redactor.text, vectors())
    lines = transcript_lines()
    speeds = list(engines(lines))
    if options.json:
        print(
            json.dumps(
                {
                    "quality": asdict(result),
                    "bytes": sum(map(len, lines)),
                    "speed": [asdict(s) for s in speeds],
                }
            )
        )
        return
    print(f"recall {result.recall:.4%} ({result.missed} of {result.secrets} left)")
    print(
        f"false alarms, own rule {result.named_share:.2%} ({result.named}); allow-listed {result.listed}/{result.listed_of}"
    )
    print(f"must-not-find texts changed by any rule {result.touched}/{result.must_not_find}")
    for row in speeds:
        print(f"{row.mb_per_s:9.1f} MB/s  {row.engine}  ({row.lines_flagged} lines flagged)")


if __name__ == "__main__":
    main()
