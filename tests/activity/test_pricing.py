"""Prices and costs, held against ccusage 20.0.24: its measured price list and costs it gave."""

import doctest
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cdesk.activity.pricing import (
    BUNDLED_PATH,
    DatedPrice,
    LongPrompt,
    Price,
    PriceBook,
    PriceBookError,
    Usage,
    cost_at,
)

ROOT = Path(__file__).resolve().parents[2]
MEASURED_PATH = ROOT.parent / "shared" / "data" / "ccusage-bundled-prices" / "prices_measured.json"
NO_MEASURED_PRICES = f"needs the measured ccusage prices at {MEASURED_PATH}"

WHEN_CCUSAGE_PRICES_HELD = date(2025, 11, 1)
M = 1_000_000

needs_measured_prices = pytest.mark.skipif(not MEASURED_PATH.exists(), reason=NO_MEASURED_PRICES)


def measured() -> dict[str, dict[str, float | None] | None]:
    if not MEASURED_PATH.exists():
        return {}
    models: dict[str, dict[str, float | None] | None] = msgspec.json.decode(MEASURED_PATH.read_bytes())["models"]
    return models


PRICED = [name for name, price in measured().items() if price is not None]
UNPRICED = [name for name, price in measured().items() if price is None]


@pytest.fixture
def book() -> PriceBook:
    return PriceBook.bundled()


def write(path: Path, content: Any) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))
    return path


def price_of(input: float, **others: Any) -> Price:
    cache = {"cache_write_5m": input * 1.25, "cache_write_1h": input * 2, "cache_read": input / 10}
    return Price(input=input, **{"output": input * 5, **cache, **others})


# The measured price list


@needs_measured_prices
@pytest.mark.parametrize("source", ["bundled", "measured"])
@pytest.mark.parametrize("model", PRICED)
def test_every_measured_price_is_found(model: str, source: str) -> None:
    """Our book and the measured file itself both give each model the prices ccusage showed."""
    book = PriceBook.bundled() if source == "bundled" else PriceBook.load(MEASURED_PATH)
    found = book.find(model, WHEN_CCUSAGE_PRICES_HELD)
    expected = measured()[model]
    assert found is not None and expected is not None
    assert {field: getattr(found, field) for field in expected} == pytest.approx(expected)


@needs_measured_prices
@pytest.mark.parametrize("model", UNPRICED)
def test_a_null_price_means_unpriced(model: str) -> None:
    """A model the measured file lists as null has no price, and borrows none from a relative."""
    book = PriceBook.load(MEASURED_PATH)
    assert book.find(model, WHEN_CCUSAGE_PRICES_HELD) is None
    assert book.cost(model, Usage(input_tokens=M), WHEN_CCUSAGE_PRICES_HELD) is None


# Costs ccusage 20.0.24 gave for one-message transcripts (--mode calculate --offline)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-opus-4-8", Usage(input_tokens=100_000), 0.5),
        ("claude-sonnet-4-5", Usage(input_tokens=400_000), 1.8),
        ("claude-sonnet-4-5", Usage(output_tokens=400_000), 7.5),
        ("claude-sonnet-4-5", Usage(cache_creation_5m_tokens=400_000), 2.25),
        ("claude-sonnet-4-5", Usage(cache_creation_1h_tokens=400_000), 3.6),
        ("claude-sonnet-4-5", Usage(cache_read_tokens=400_000), 0.18),
        ("claude-sonnet-4-6", Usage(input_tokens=400_000), 1.2),
        ("claude-sonnet-4-6", Usage(cache_creation_1h_tokens=400_000), 2.4),
        ("claude-sonnet-4-5-20250929[1m]", Usage(input_tokens=M), 5.4),
        ("claude-4-sonnet-20250514", Usage(output_tokens=400_000), 7.5),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(output_tokens=400_000), 8.25),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Usage(cache_creation_1h_tokens=400_000), 3.96),
        ("us.anthropic.claude-opus-4-6-v1", Usage(input_tokens=M, speed="fast"), 33.0),
        ("claude-opus-4-6", Usage(input_tokens=M, speed="fast"), 30.0),
        ("claude-opus-4-8", Usage(input_tokens=M, speed="fast"), 10.0),
        ("claude-opus-4-8", Usage(input_tokens=M, speed="standard"), 5.0),
        ("bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0", Usage(input_tokens=M), 5.5),
        ("au.anthropic.claude-haiku-4-5-20251001-v1:0", Usage(input_tokens=M), 1.1),
        ("claude-3-5-haiku-latest", Usage(input_tokens=100_000), 0.08),
        ("claude-opus-4@20250514", Usage(input_tokens=M), 15.0),
        ("openrouter/anthropic/claude-opus-4.6", Usage(input_tokens=100_000), 0.5),
        ("company/claude-opus-4-5-20251101:beta", Usage(input_tokens=100_000), 0.5),
        ("my-proxy-model", Usage(input_tokens=100_000), None),
        ("claude-fable-5-2", Usage(input_tokens=100_000), None),
        ("claude-opus-4-9", Usage(input_tokens=100_000), None),
        ("CLAUDE-OPUS-4-8", Usage(input_tokens=100_000), None),
    ],
)
def test_a_cost_equals_what_ccusage_gave(book: PriceBook, model: str, usage: Usage, usd: float | None) -> None:
    """One response costs here what it costs there."""
    assert book.cost(model, usage, WHEN_CCUSAGE_PRICES_HELD) == pytest.approx(usd)


# The cost rule


def test_each_kind_of_token_is_tiered_alone() -> None:
    """200,000 tokens of each kind cost the base price, and only a kind that goes over costs more."""
    price = price_of(3.0, output=15.0, input_above_200k=6.0, cache_read_above_200k=0.6)
    at_the_edge = Usage(input_tokens=200_000, output_tokens=200_000)
    over = Usage(input_tokens=200_001, output_tokens=200_001, cache_read_tokens=200_001)
    assert cost_at(price, at_the_edge) == pytest.approx(3.6)
    assert cost_at(price, over) == pytest.approx(3.6 + 21 / M + 0.06 + 0.6 / M)


def test_fast_multiplies_the_whole_cost() -> None:
    """Fast mode raises every kind of token alike; any other speed raises none."""
    price = price_of(5.0, fast_multiplier=6.0)
    usage = Usage(input_tokens=10, output_tokens=20, cache_read_tokens=30)
    standard = msgspec.structs.replace(usage, speed="standard")
    fast = msgspec.structs.replace(usage, speed="fast")
    assert cost_at(price, standard) == cost_at(price, usage)
    assert cost_at(price, fast) == pytest.approx(6 * cost_at(price, usage))


def test_a_long_prompt_prices_the_whole_response() -> None:
    """The prompt is input, cache writes and cache reads together; output then costs more too."""
    price = price_of(0.1, long_prompt=LongPrompt(over_tokens=100_000, price=price_of(0.5)))
    short = Usage(input_tokens=50_000, cache_read_tokens=50_000, output_tokens=M)
    long = Usage(input_tokens=50_000, cache_read_tokens=50_001, output_tokens=M)
    assert cost_at(price, short) == pytest.approx(0.5 + 0.0055)
    assert cost_at(price, long) == pytest.approx(2.5 + 0.025 + 0.05 * 50_001 / M)


def test_no_tokens_cost_nothing_and_an_unknown_model_is_never_free(book: PriceBook) -> None:
    """Zero is an answer only where a price is known."""
    assert book.cost("claude-opus-4-8", Usage(), WHEN_CCUSAGE_PRICES_HELD) == 0.0
    assert book.cost("gpt-5", Usage(), WHEN_CCUSAGE_PRICES_HELD) is None
    assert book.cost("gpt-5", Usage(input_tokens=1), WHEN_CCUSAGE_PRICES_HELD) is None


# Dates


def test_a_price_holds_from_its_day_until_the_next() -> None:
    """The latest row on or before the day wins; before the first known day, the first row."""
    first, second = price_of(3.0), price_of(2.0)
    rows = [
        DatedPrice(price=second, effective_from=date(2026, 6, 1)),
        DatedPrice(price=first, effective_from=date(2026, 1, 1)),
    ]
    book = PriceBook({"claude-x": rows})
    assert book.find("claude-x", date(2020, 1, 1)) == first
    assert book.find("claude-x", date(2026, 5, 31)) == first
    assert book.find("claude-x", date(2026, 6, 1)) == second
    assert book.find("claude-x", datetime(2026, 6, 1, 12)) == second


@pytest.mark.parametrize(
    ("model", "on", "field", "usd"),
    [
        ("claude-sonnet-4", date(2025, 8, 11), "input_above_200k", None),
        ("claude-sonnet-4", date(2025, 8, 12), "input_above_200k", 6.0),
        ("claude-sonnet-4-5", date(2026, 4, 30), "input_above_200k", 6.0),
        ("claude-sonnet-4-5", date(2026, 5, 1), "input_above_200k", None),
        ("claude-sonnet-5-5", date(2026, 10, 6), "cache_read", 0.2),
        ("claude-sonnet-5-5", date(2026, 10, 7), "cache_read", 0.1),
    ],
)
def test_the_bundled_book_knows_when_a_price_changed(
    book: PriceBook, model: str, on: date, field: str, usd: float | None
) -> None:
    """A response keeps the price of its own day."""
    price = book.find(model, on)
    assert price is not None
    assert getattr(price, field) == usd


# Names


@pytest.mark.parametrize(
    ("named", "model"),
    [
        ("anthropic/claude-opus-4-8", "claude-opus-4-8"),
        ("anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5-20251101"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5-20251101"),
        ("vertex_ai/claude-opus-4-8@default", "claude-opus-4-8"),
        ("claude-opus-4-1", "claude-opus-4-1-20250805"),
        ("claude-opus-4", "claude-opus-4-20250514"),
        ("claude-opus-5-20270101", "claude-opus-5"),
        ("claude-opus-4-5-thinking", "claude-opus-4-5-20251101"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "us.anthropic.claude-opus-4-5"),
        ("anthropic.claude-opus-5-5", "claude-opus-5-5"),
    ],
)
def test_a_provider_name_finds_its_model(book: PriceBook, named: str, model: str) -> None:
    """Prefixes, suffixes and separators do not hide a model."""
    assert model in book.models
    assert book.find(named, WHEN_CCUSAGE_PRICES_HELD) is book.find(model, WHEN_CCUSAGE_PRICES_HELD)


@pytest.mark.parametrize(
    "model",
    [
        *("", "gpt-5", "my-proxy-model", "<synthetic>", "claude", "opus", "sonnet", "claude-opus", "5"),
        *("claude-opus-4-0", "claude-opus-4-99", "claude-opus-4-8-1m", "claude-sonnet-5-6", "xclaude-opus-5"),
    ],
)
def test_a_name_that_only_resembles_a_model_has_no_price(book: PriceBook, model: str) -> None:
    """A fragment or another version is not the model."""
    assert book.find(model, WHEN_CCUSAGE_PRICES_HELD) is None


def test_a_null_entry_is_not_priced_by_a_shorter_name(tmp_path: Path) -> None:
    """What the file says is unpriced stays unpriced, under every form of its name."""
    models = {"claude-x": {"input": 1, "output": 5}, "claude-x-internal": None}
    book = PriceBook.load(write(tmp_path / "prices.json", {"models": models}))
    assert book.find("acme/claude-x", WHEN_CCUSAGE_PRICES_HELD) is not None
    assert book.find("acme/claude-x-internal", WHEN_CCUSAGE_PRICES_HELD) is None


def test_every_bundled_model_finds_itself(book: PriceBook) -> None:
    """No entry hides another, and every Claude generation since 3 is there."""
    assert all(book.find(model, WHEN_CCUSAGE_PRICES_HELD) is not None for model in book.models)
    assert {"claude-3-opus-20240229", "claude-sonnet-4-20250514", "claude-haiku-5-5"} <= {*book.models}


# Files


def test_the_bundled_book_is_read_once_and_spells_out_every_price() -> None:
    """Nothing in our own file is left to a default, except that a missing date means always."""
    assert PriceBook.bundled() is PriceBook.bundled()
    rows = [row for rows in msgspec.json.decode(BUNDLED_PATH.read_bytes())["models"].values() for row in rows]
    prices = {"input", "output", "cache_write_5m", "cache_write_1h", "cache_read"}
    assert all(prices <= row.keys() for row in rows)
    assert all("cache_read_above_200k" in row for row in rows if "input_above_200k" in row)
    assert all(row["cache_write_1h"] == pytest.approx(2 * row["input"]) for row in rows)


def test_prices_left_out_follow_the_input_price(tmp_path: Path) -> None:
    """5-minute writes 1.25 times, 1-hour writes twice, reads a tenth; a price in the file wins."""
    row = {"input": 3, "output": 15, "input_above_200k": 6, "cache_write_1h": 5}
    price = PriceBook.load(write(tmp_path / "p.json", {"models": {"m": row}})).find("m", date.min)
    assert price is not None
    assert (price.cache_write_5m, price.cache_write_1h, price.cache_read) == pytest.approx((3.75, 5, 0.3))
    above = (price.cache_write_5m_above_200k, price.cache_write_1h_above_200k, price.cache_read_above_200k)
    assert above == pytest.approx((7.5, 10, 0.6))
    assert price.output_above_200k is None


def test_the_version_follows_the_prices_and_not_the_layout(tmp_path: Path) -> None:
    """Two files with one content share a version; a changed price makes another."""
    one = {"models": {"b": {"input": 1, "output": 5}, "a": [{"input": 2, "output": 10}]}}
    same = b'{"unit": "USD per 1M tokens",\n "models": {"a": {"output": 10, "input": 2.0}, "b": [{"input": 1, "output": 5}]}}'
    other = {"models": {"b": {"input": 1, "output": 6}, "a": {"input": 2, "output": 10}}}
    files = [write(tmp_path / str(n), content) for n, content in enumerate((one, same, other))]
    versions = [PriceBook.load(file).version for file in files]
    assert versions[0] == versions[1] != versions[2]
    assert all(len(version) == 12 for version in versions)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is not a price file"),
        (b"", "is not a price file"),
        (b"\xff\xfe{}", "is not a price file"),
        ([], "is not a price file"),
        ({"prices": {}}, "missing required field `models`"),
        ({"models": {}}, "names no model"),
        ({"unit": "USD per token", "models": {"m": None}}, "Invalid enum value 'USD per token'"),
        ({"models": {"m": 3}}, "'m'"),
        ({"models": {"m": []}}, "an empty list"),
        ({"models": {" ": None}}, "empty name"),
        ({"models": {"m": {"input": 1}}}, "missing required field `output`"),
        ({"models": {"m": {"input": "1", "output": 2}}}, "$.input"),
        ({"models": {"m": {"input": -1, "output": 2}}}, "$.input"),
        ({"models": {"m": {"input": 1, "output": 2, "cache_red": 1}}}, "cache_red"),
        ({"models": {"m": {"input": 1, "output": 2, "fast_multiplier": 0}}}, "$.fast_multiplier"),
        ({"models": {"m": [{"effective_from": "May", "input": 1, "output": 2}]}}, "effective_from"),
        ({"models": {"m": [{"input": 1, "output": 2}] * 2}}, "two rows with one effective_from"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path: Path, content: Any, says: str) -> None:
    """The line names the file, what is wrong and where, and what to do."""
    path = write(tmp_path / "prices.json", content)
    with pytest.raises(PriceBookError) as refused:
        PriceBook.load(path)
    message = str(refused.value)
    assert message.startswith(str(path)) and says in message
    assert "; " in message and "\n" not in message


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """A path that leads nowhere is the same kind of error."""
    with pytest.raises(PriceBookError, match="cannot be read"):
        PriceBook.load(tmp_path / "none.json")


def test_the_page_tells_the_truth() -> None:
    """The examples in docs/pricing.md run."""
    result = doctest.testfile(str(ROOT / "docs" / "pricing.md"), module_relative=False)
    assert result.attempted > 0 and result.failed == 0
