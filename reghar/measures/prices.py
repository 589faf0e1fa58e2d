"""What tokens cost, and where the price is from (definitions: The budget to serve with)."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any

from reghar.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TokenPrice:
    """In any one currency, per million tokens; at least 0. Raises InputError for others."""

    input: float
    output: float
    source: str = "--price-input and --price-output"
    """Where it is from, and of which day where that is known."""

    def __post_init__(self) -> None:
        for flag, price in (("--price-input", self.input), ("--price-output", self.output)):
            if not (math.isfinite(price) and price >= 0):
                raise InputError(f"{flag} {price:g}: give the price of a million tokens, 0 or more")

    def per_thousand(self, prompt: float, written: float) -> float:
        """Of 1,000 responses of so many mean tokens."""
        return (prompt * self.input + written * self.output) / 1e3


def gpu_price(per_hour: float, tokens_per_second: float) -> TokenPrice:
    """Of one's own hardware: every written token takes its share of the hour, prompts take none.

    Raises InputError for a price below 0 and a speed that is not above 0, NaN included.
    """
    if not (math.isfinite(per_hour) and per_hour >= 0):
        raise InputError(f"--gpu-hour-price {per_hour:g}: give the price of an hour, 0 or more")
    if not (math.isfinite(tokens_per_second) and tokens_per_second > 0):
        raise InputError(f"--tokens-per-second {tokens_per_second:g}: give a number above 0")
    return TokenPrice(
        input=0.0,
        output=per_hour / 3600 / tokens_per_second * 1e6,
        source=f"{per_hour:g} an hour at {tokens_per_second:g} tokens per second; prompts are not in it",
    )


def listed_price(model: str, day: datetime.date | None = None) -> TokenPrice:
    """Of a hosted model, in dollars, from the table inside the package `genai-prices`; nothing is fetched.

    Where a price rises with the length of the prompt it is that of short ones. `day`: today. Raises
    InputError where the package is missing, and for a model that it does not know or price by tokens.
    """
    try:
        from genai_prices import data_snapshot
    except ImportError:
        raise InputError(
            "--price-model needs the package genai-prices: pip install 'reghar[prices]', or give "
            "--price-input and --price-output"
        ) from None
    day = day or datetime.datetime.now(datetime.UTC).date()
    try:
        provider, found = data_snapshot.get_snapshot().find_provider_model(model, None, None, None)
    except LookupError:
        raise InputError(
            f"--price-model {model!r}: genai-prices {_version()} does not know it; give --price-input and "
            "--price-output"
        ) from None
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.UTC)
    prices = found.get_prices(noon)
    if prices.input_mtok is None or prices.output_mtok is None:
        raise InputError(f"--price-model {model!r}: genai-prices {_version()} lists no price of its tokens")
    return TokenPrice(
        input=_base(prices.input_mtok),
        output=_base(prices.output_mtok),
        source=f"dollars, {provider.name} {found.id}, as genai-prices {_version()} lists them for {day}",
    )


def _base(price: Any) -> float:
    """A number, or the first of several tiers."""
    return float(getattr(price, "base", price))


def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")
