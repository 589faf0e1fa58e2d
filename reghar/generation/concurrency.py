"""How many traces in flight: as many as fill the engine's KV cache, within the batches that it captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reghar.engines.base import CAPTURED, EngineInfo

SPARE = 8
"""Traces beyond those that fill the KV cache on average. A few more keep it full where it holds a dozen long
ones; many more cost a lot where it holds a hundred short ones, which then preempt one another."""
EXPECTED_TOKENS, EXPECTED_TRACES = 2048, 32
"""Traces, and their length, that count beside those that ended: the first to end are the short ones."""
UNKNOWN = 64
"""Traces in flight where the engine does not tell the size of its KV cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """The traces that have ended so far, as the KV cache saw them."""

    tokens: int = 0
    """Generated, over all traces; one step of a trace each."""
    held: float = 0.0
    """Sum over those steps of the tokens that the trace then held in the cache, its prompt included."""

    def add(self, prompt_tokens: int, tokens: int) -> Lengths:
        """With one more trace of `tokens` after a prompt of `prompt_tokens`."""
        return Lengths(tokens=self.tokens + tokens, held=self.held + tokens * (prompt_tokens + tokens / 2))

    @property
    def tokens_a_slot(self) -> float:
        """Mean tokens that a trace in flight holds in the KV cache, over all steps.

        sum n (p + n / 2) / sum n over traces of n tokens and their prompts of p, the expected ones included:
        long traces count more often, because they are in flight for longer.
        """
        expected = EXPECTED_TRACES * EXPECTED_TOKENS
        return (self.held + expected * EXPECTED_TOKENS / 2) / (self.tokens + expected)


def choose_concurrency(kv_tokens: int | None, seen: Lengths, captured: Sequence[int] = CAPTURED) -> int:
    """Traces to have in flight on one engine, to be asked again as traces end.

    `kv_tokens` is the size of the engine's KV cache, None where it does not tell; `captured` are the batches
    of its CUDA graphs, requests, in increasing order. The smallest that fills the cache with `SPARE` more, or
    the largest. `docs/gpu.md` shows what it costs against the best fixed number.
    """
    sizes = captured or CAPTURED
    wanted = UNKNOWN if kv_tokens is None else kv_tokens / seen.tokens_a_slot + SPARE
    return next((size for size in sizes if size >= wanted), sizes[-1])


def traces_in_flight(asked: int | None, engine: EngineInfo, seen: Lengths) -> int:
    """Traces to have in flight on an engine: the number that was asked for, else what suits its KV caches."""
    if asked is not None:
        return asked
    return sum(choose_concurrency(size, seen, engine.batches) for size in engine.kv_caches)
