"""What one engine has in flight, and how long its traces were: concurrency and release follow from these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reghar.generation.concurrency import Lengths


@dataclass(eq=False)
class TraceInFlight:
    """One trace while it is generated."""

    prompt_tokens: int
    tokens: int = 0
    """Of its response so far."""


class Load:
    """The traces of one engine; changes as they go on."""

    def __init__(self) -> None:
        self.seen = Lengths()
        """Of those that have ended."""
        self.tokens_in_flight = 0
        """Of those that have not, prompts included."""

    @contextmanager
    def trace(self, prompt_tokens: int, given_tokens: int) -> Iterator[TraceInFlight]:
        """A trace within the block, begun with `given_tokens`. One that ends in an error is not seen."""
        trace = TraceInFlight(prompt_tokens, given_tokens)
        self.tokens_in_flight += prompt_tokens + given_tokens
        try:
            yield trace
            self.seen = self.seen.add(prompt_tokens, trace.tokens)
        finally:
            self.tokens_in_flight -= prompt_tokens + trace.tokens

    def grow(self, trace: TraceInFlight, tokens: int) -> None:
        """`tokens` more of it have arrived."""
        trace.tokens += tokens
        self.tokens_in_flight += tokens
