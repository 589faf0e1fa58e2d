"""What requests cost, and a cap that is never exceeded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from reghar.errors import EngineError


class CostCapError(EngineError):
    """The next request could exceed the cap; what was finished is stored."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """In any one currency, per million tokens; at least 0."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """The price of so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class CostCap:
    """Lets a request start only where it cannot take the sum above the cap, whatever it comes to.

    A request holds the most that it may cost until it is settled. One that would not fit waits for
    others to be settled for less. All methods belong to one event loop.
    """

    def __init__(self, most: float | None, prices: Prices, spent: float = 0.0) -> None:
        """`most`: None for no cap; `spent`: what went before."""
        self._most = most
        self._prices = prices
        self.spent = spent
        """Settled so far."""
        self._held = 0.0
        self._settled = asyncio.Condition()

    async def hold(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Waits until so many tokens fit under the cap and holds their price, which is returned.

        Raises `CostCapError` where they do not fit although nothing else is under way.
        """
        price = self._prices.of(prompt_tokens, completion_tokens)
        async with self._settled:
            while self._most is not None and self.spent + self._held + price > self._most:
                if not self._held:
                    raise CostCapError(
                        f"the next request may cost {price:.4f}, and {self.spent:.4f} of --max-cost "
                        f"{self._most:g} are spent: raise it and resume, or report what is stored"
                    )
                await self._settled.wait()
            self._held += price
        return price

    async def settle(self, held: float, price: float) -> None:
        """Puts the real price in the place of a held one."""
        async with self._settled:
            self._held = max(0.0, self._held - held)
            if self._held < 1e-12:
                self._held = 0.0  # what rounding left
            self.spent += price
            self._settled.notify_all()

    def price(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost."""
        return self._prices.of(prompt_tokens, completion_tokens)
