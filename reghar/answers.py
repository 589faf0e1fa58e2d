"""Answers: what the model says when its trace is cut at a budget, and the trace's own answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reghar.boxes import closing_brace
from reghar.seeds import derive_seed
from reghar.thinking import Block


@dataclass(frozen=True, kw_only=True, slots=True)
class ForcedAnswer:
    """One answer. A trace has one for every budget that cut it, and one of its own (`budget` None)."""

    task: str
    problem: str
    sample: int
    budget: int | None
    """Tokens at which the trace was cut; None for the whole trace's own answer."""
    forced: bool
    """True where a probe forced it."""
    text: str | None
    """The segment to grade: the completion of the probe, or for a natural answer the text after the
    thinking block; None where the thinking never closed."""
    token_ids: tuple[int, ...]
    """Tokens of the completion; empty for the trace's own answer."""
    seed: int
    prompt_tokens: int
    """Tokens of prompt, cut trace and probe together; 0 for the trace's own answer."""
    cached_tokens: int | None
    """Those of them that were found in the engine's cache; None where the engine did not say."""
    setting: str = ""
    """That of its trace."""
    dropped_tokens: int = 0
    """Trace tokens that could not be sent back because the engine refuses their ids."""


def answer_seed(seed: int, budget: int) -> int:
    """Seed of a probe, from its trace's seed and the budget (SPEC 2)."""
    return derive_seed(seed, budget)


def cut_position(token_ids: Sequence[int], block: Block, budget: int, counts: str) -> int | None:
    """Where a response is cut at `budget` tokens: an index into `token_ids`, or None if it is within.

    `counts` is `response` or `thinking` (s1: only tokens inside the thinking block count, so the
    answer part is free). Used on a growing response as well: an index once given never changes.
    """
    if counts == "response":
        return budget if len(token_ids) > budget else None
    if block.start is None:
        return None
    end = len(token_ids) if block.end is None else block.end
    return block.start + budget if end - block.start > budget else None


def box_end(text: str) -> int | None:
    """Length of a completion up to and with the brace that closes the probe's box; None while open."""
    end = closing_brace(text)
    return None if end is None else end + 1
