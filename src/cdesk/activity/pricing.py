"""What a response cost: tokens times the price its model had on that day.

A price book keeps, for every model, its prices in order of the day each one took effect. A later
change adds a row and never edits one, so a closed month keeps its cost. A model the book does not
know has no price: its cost is None, never zero, because "unknown" and "free" are different answers.

The cost of one response, in USD, is that of ccusage 20.0.24:

    (input + output + 5-minute cache write + 1-hour cache write + cache read) x fast multiplier

where each of the five is counted alone: its first 200,000 tokens at the base price, the rest at the
above-200k price if the model has one. One case goes further than ccusage, which has no price for
such models: a price may carry a `long_prompt`, the price of the whole response once the prompt
(input, cache writes and cache reads together) is longer than so many tokens.

A model is looked up by its exact name first. Failing that, the longest known name that stands inside
the given one as a whole word wins, so provider prefixes and version suffixes do not hide a model:

    anthropic/claude-opus-4.5    bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0
    claude-opus-4-5@20251101     claude-sonnet-4-5-20250929[1m]

`.` and `@` count as `-`; a name may stop at anything but a letter or digit; a name that ends in a
digit may be followed by an eight-digit date but by no other number, so `claude-opus-4` never prices
`claude-opus-4-9`. A dated name also answers without its date (`claude-opus-4-1`). Unlike ccusage, a
fragment such as `opus` or `claude` has no price: which model it means is a guess.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, TypeVar

import msgspec

TIER_TOKENS = 200_000
CACHE_WRITE_5M_TIMES_INPUT = 1.25
CACHE_WRITE_1H_TIMES_INPUT = 2.0
CACHE_READ_TIMES_INPUT = 0.1
TOKENS_PER_PRICE = 1_000_000

# A month of work names a few dozen models; the bound only stops a stream of made-up names.
NAMES_REMEMBERED_MAX = 4096

BUNDLED_PATH = Path(__file__).with_name("prices.json")

T = TypeVar("T")
Usd = Annotated[float, msgspec.Meta(ge=0)]
Multiplier = Annotated[float, msgspec.Meta(gt=0)]
Tokens = Annotated[int, msgspec.Meta(ge=0)]


class PriceBookError(ValueError):
    """A price file cannot be used. Trying again does not help; the message says what to edit."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one response, as the API counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_5m_tokens: int = 0
    cache_creation_1h_tokens: int = 0
    cache_read_tokens: int = 0
    speed: Literal["standard", "fast"] | None = None

    @property
    def prompt_tokens(self) -> int:
        cache_writes = self.cache_creation_5m_tokens + self.cache_creation_1h_tokens
        return self.input_tokens + cache_writes + self.cache_read_tokens


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """USD per million tokens. An above-200k price of None means the base price has no end."""

    input: float
    output: float
    cache_write_5m: float
    cache_write_1h: float
    cache_read: float
    input_above_200k: float | None = None
    output_above_200k: float | None = None
    cache_write_5m_above_200k: float | None = None
    cache_write_1h_above_200k: float | None = None
    cache_read_above_200k: float | None = None
    fast_multiplier: float = 1.0
    long_prompt: "LongPrompt | None" = None


class LongPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a whole response whose prompt is longer than `over_tokens`."""

    over_tokens: int
    price: Price


class DatedPrice(msgspec.Struct, frozen=True, kw_only=True):
    price: Price
    effective_from: date = date.min


class PriceBook:
    """Every known model with its prices by date. A model with no rows is known to be unpriced."""

    def __init__(self, models: Mapping[str, Iterable[DatedPrice]]) -> None:
        self._models = {name: _in_date_order(rows) for name, rows in models.items()}
        self._answers_to = _with_undated_names(self._models)
        self._by_plain_name = {_plain(name): rows for name, rows in self._answers_to.items()}
        self._longest_first = sorted(self._by_plain_name, key=lambda name: (-len(name), name))
        self._rows_of = lru_cache(maxsize=NAMES_REMEMBERED_MAX)(self._match)
        self.version = _content_hash(self._models)

    @classmethod
    def bundled(cls) -> "PriceBook":
        """The book that ships with cdesk; read once."""
        return _bundled()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a price file, ours or a plain one-price-per-model file; see docs/pricing.md."""
        return cls(_read_models(Path(path)))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._models)

    @property
    def linear_tokens_max(self) -> int:
        """Up to so many tokens a response costs price times tokens, whatever its model: no tier begins below."""
        prices = [row.price for rows in self._models.values() for row in rows]
        return min([TIER_TOKENS, *(p.long_prompt.over_tokens for p in prices if p.long_prompt)])

    def find(self, model: str, on: date) -> Price | None:
        """The price of the model on that day; before its first known day, its first price."""
        rows = self._rows_of(model)
        if len(rows) == 1:
            return rows[0].price
        return _latest(rows, on)

    def cost(self, model: str, usage: Usage, on: date) -> float | None:
        """USD, or None when the model has no price."""
        price = self.find(model, on)
        return None if price is None else cost_at(price, usage)

    def over(self, other: "PriceBook") -> "PriceBook":
        """This book's models, and the other's for names that this one does not list at all."""
        return PriceBook({**other._models, **self._models})

    def _match(self, model: str) -> tuple[DatedPrice, ...]:
        exact = self._answers_to.get(model)
        if exact is not None:
            return exact
        plain = _plain(model)
        inside = (name for name in self._longest_first if _stands_inside(plain, name))
        return self._by_plain_name.get(next(inside, ""), ())


def cost_at(price: Price, usage: Usage) -> float:
    """USD for one response at this price."""
    longer = price.long_prompt
    if longer is not None and usage.prompt_tokens > longer.over_tokens:
        return cost_at(longer.price, usage)
    millionths = (
        _tiered(usage.input_tokens, price.input, price.input_above_200k)
        + _tiered(usage.output_tokens, price.output, price.output_above_200k)
        + _tiered(usage.cache_creation_5m_tokens, price.cache_write_5m, price.cache_write_5m_above_200k)
        + _tiered(usage.cache_creation_1h_tokens, price.cache_write_1h, price.cache_write_1h_above_200k)
        + _tiered(usage.cache_read_tokens, price.cache_read, price.cache_read_above_200k)
    )
    multiplier = price.fast_multiplier if usage.speed == "fast" else 1.0
    return millionths * multiplier / TOKENS_PER_PRICE


def _tiered(tokens: int, base: float, above: float | None) -> float:
    if above is None or tokens <= TIER_TOKENS:
        return tokens * base
    return TIER_TOKENS * base + (tokens - TIER_TOKENS) * above


def _latest(rows: tuple[DatedPrice, ...], on: date) -> Price | None:
    if not rows:
        return None
    day = on.date() if isinstance(on, datetime) else on
    started = [row for row in rows if row.effective_from <= day]
    return (started or rows[:1])[-1].price


def _in_date_order(rows: Iterable[DatedPrice]) -> tuple[DatedPrice, ...]:
    return tuple(sorted(rows, key=lambda row: row.effective_from))


# Names


_DATE_SUFFIX = re.compile(r"-\d{8}$")
_NOT_INSIDE_A_WORD = r"(?<![0-9A-Za-z])"
_ENDS_A_WORD = r"(?![0-9A-Za-z])"
_NO_OTHER_VERSION = rf"(?!-(?!\d{{8}}{_ENDS_A_WORD})\d)"


def _plain(name: str) -> str:
    return name.replace(".", "-").replace("@", "-")


def _with_undated_names(
    models: Mapping[str, tuple[DatedPrice, ...]],
) -> dict[str, tuple[DatedPrice, ...]]:
    """Adds `claude-opus-4-1` for `claude-opus-4-1-20250805`; of two dates the newer one answers."""
    undated = {_DATE_SUFFIX.sub("", name): models[name] for name in sorted(models)}
    return {**undated, **models}


def _stands_inside(model: str, name: str) -> bool:
    if name not in model:
        return False
    end = _ENDS_A_WORD + (_NO_OTHER_VERSION if name[-1:].isdigit() else "")
    return re.search(_NOT_INSIDE_A_WORD + re.escape(name) + end, model) is not None


# Files


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    effective_from: date | None = None
    input: Usd
    output: Usd
    cache_write_5m: Usd | None = None
    cache_write_1h: Usd | None = None
    cache_read: Usd | None = None
    input_above_200k: Usd | None = None
    output_above_200k: Usd | None = None
    cache_write_5m_above_200k: Usd | None = None
    cache_write_1h_above_200k: Usd | None = None
    cache_read_above_200k: Usd | None = None
    fast_multiplier: Multiplier = 1.0
    long_prompt: "_LongPromptRow | None" = None


class _LongPromptRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    over_tokens: Tokens
    price: _Row


class _File(msgspec.Struct, frozen=True, kw_only=True):
    unit: Literal["USD per 1M tokens"] = "USD per 1M tokens"
    models: dict[str, msgspec.Raw]


@cache
def _bundled() -> PriceBook:
    return PriceBook.load(BUNDLED_PATH)


def _read_models(path: Path) -> dict[str, list[DatedPrice]]:
    try:
        models = msgspec.json.decode(path.read_bytes(), type=_File).models
    except OSError as error:
        _refuse(path, f"cannot be read ({error.strerror})", "check the path and its permissions")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse(path, f"is not a price file ({error})", 'it must be JSON like {"models": {...}}')
    if not models:
        _refuse(path, "names no model", 'put at least one under "models"')
    return {name: _read_rows(path, name, raw) for name, raw in models.items()}


def _read_rows(path: Path, model: str, raw: msgspec.Raw) -> list[DatedPrice]:
    where = f"has a bad price for model {model!r}"
    if not model.strip():
        _refuse(path, "has a model with an empty name", "give it a name or remove it")
    try:
        found = msgspec.json.decode(raw, type=list[_Row] | _Row | None)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse(path, f"{where} ({error})", "correct it, or write null for a model without a price")
    if found is None:
        return []
    rows = found if isinstance(found, list) else [found]
    days = {row.effective_from for row in rows}
    if not rows:
        _refuse(path, f"{where} (an empty list)", "add a row, or write null for a model without a price")
    if len(days) < len(rows):
        _refuse(path, f"{where} (two rows with one effective_from)", "keep one row per date")
    return [_dated_price(row) for row in rows]


def _refuse(path: Path, problem: str, remedy: str) -> NoReturn:
    line = " ".join(f"{path} {problem}; {remedy}".split())
    raise PriceBookError(line) from None


def _dated_price(row: _Row) -> DatedPrice:
    return DatedPrice(price=_price(row), effective_from=row.effective_from or date.min)


def _price(row: _Row) -> Price:
    """Fills what the row leaves out: cache prices follow the input price, above 200k as below."""
    write_5m = _or(row.cache_write_5m, row.input * CACHE_WRITE_5M_TIMES_INPUT)
    write_1h = _or(row.cache_write_1h, row.input * CACHE_WRITE_1H_TIMES_INPUT)
    read = _or(row.cache_read, row.input * CACHE_READ_TIMES_INPUT)
    return Price(
        input=row.input,
        output=row.output,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        cache_read=read,
        input_above_200k=row.input_above_200k,
        output_above_200k=row.output_above_200k,
        cache_write_5m_above_200k=_or(row.cache_write_5m_above_200k, _raised(write_5m, row)),
        cache_write_1h_above_200k=_or(row.cache_write_1h_above_200k, _raised(write_1h, row)),
        cache_read_above_200k=_or(row.cache_read_above_200k, _raised(read, row)),
        fast_multiplier=row.fast_multiplier,
        long_prompt=_long_prompt(row),
    )


def _or(given: float | None, otherwise: T) -> float | T:
    return otherwise if given is None else given


def _raised(cache_price: float, row: _Row) -> float | None:
    if row.input_above_200k is None or row.input == 0:
        return None
    return cache_price * (row.input_above_200k / row.input)


def _long_prompt(row: _Row) -> LongPrompt | None:
    if row.long_prompt is None:
        return None
    return LongPrompt(over_tokens=row.long_prompt.over_tokens, price=_price(row.long_prompt.price))


def _content_hash(models: Mapping[str, tuple[DatedPrice, ...]]) -> str:
    content = msgspec.json.encode(models, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:12]
