"""A response, growing or whole: where each budget cuts it, and the answer that it gives by itself."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reghar.engines.base import FinishReason
from reghar.generation.jobs import Job
from reghar.generation.records import ForcedAnswer, Trace
from reghar.prompting.thinking import (
    Block,
    Delimiters,
    answer_start,
    cut_position,
    find_block,
    opened_by_prompt,
)
from reghar.prompting.tokenizer import Tokenizer
from reghar.protocol import BudgetCounts, Unclosed
from reghar.seeds import derive_seed


@dataclass(kw_only=True)
class Response:
    """A response, growing or whole."""

    job: Job
    prompt_ids: list[int]
    ids: list[int]
    seed: int
    tokenizer: Tokenizer
    delimiters: Delimiters | None
    budget_counts: BudgetCounts
    unclosed: Unclosed = "grade"
    block: Block = Block(None, None, 0)  # noqa: RUF009 - frozen

    def passed(self, waiting: deque[int], reason: FinishReason | None) -> list[tuple[int, int]]:
        """(budget, tokens kept) of the answers to force now: budgets passed, and all the rest where it was
        cut, at `max_tokens` or for looping.

        Takes them off `waiting`. A budget that a finished response never passed needs none.
        """
        if not self.job.setting.is_plain and reason is None:
            return []  # a setting's own answers can wait: few, and where they cut is known at the end
        cuts = []
        while waiting:
            cut = self._cut(waiting[0])
            if cut is None and reason in (None, "stop"):
                break
            cuts.append((waiting.popleft(), len(self.ids) if cut is None else cut))
        return cuts

    def _cut(self, budget: int) -> int | None:
        """Where `budget` cuts the response so far; None where it does not.

        Settings ask for thinking tokens, which are all tokens where there is no thinking block.
        """
        if self.job.setting.is_plain:
            return cut_position(self.ids, self.block, budget, self.budget_counts)
        counts = "response" if self.block.start is None else "thinking"
        cuts = [cut_position(self.ids, self.block, budget, counts)]
        if self.job.setting.countdown and (zero := self.countdown()) is not None:
            start = self.block.start or 0
            if zero < len(self._thinking()):
                cuts.append(start + zero)
        return min((cut for cut in cuts if cut is not None), default=None)

    def _thinking(self) -> list[int]:
        """The tokens inside the thinking block; all where there is none."""
        return self.ids[self.block.start or 0 : self.block.end]

    def countdown(self) -> int | None:
        """Thinking tokens after which the countdown of steps has reached zero; None where it has not."""
        return countdown_end(self._thinking(), self.tokenizer.decode)

    def own_answer(self, *, finished: bool) -> ForcedAnswer:
        """The answer that the whole response gives by itself; `finished`: the model ended it."""
        return ForcedAnswer(
            task=self.job.problem.task,
            problem=self.job.problem.id,
            sample=self.job.sample,
            setting=self.job.setting.name,
            budget=None,
            forced=False,
            text=self.natural(self.ids, finished=finished),
            token_ids=(),
            seed=self.seed,
            prompt_tokens=0,
            cached_tokens=0,
        )

    def natural(self, ids: list[int], *, finished: bool) -> str | None:
        """The text of the answer that `ids` give by themselves; None where they give none."""
        opened = opened_by_prompt(self.prompt_ids, self.delimiters)
        block = find_block(ids, self.delimiters, opened=opened)
        start = answer_start(block, opened=opened, finished=finished, unclosed=self.unclosed)
        if start is None:
            return None
        if block.end is None or self.delimiters is None:
            return self.tokenizer.decode(ids[start:])
        # By the text: the token that ends the delimiter may hold the first words of the answer.
        return self.tokenizer.decode(ids[block.end :]).partition(self.delimiters.close)[2]


def answer_seed(seed: int, budget: int) -> int:
    """Seed of a probe, from its trace's seed and the budget (definitions: The curve)."""
    return derive_seed(seed, budget)


def ignorable_end(trace: Trace) -> int | None:
    """Index of the first token that goes when the end of a trace's thinking is ignored; None for no end.

    That is where the closing delimiter begins, or the end of the response where the model ended it
    inside the thinking, or has no thinking block: then all of it is its thinking. A trace that hit
    `max_tokens` before any of these has no end to ignore.
    """
    if trace.thinking_end is not None:
        return trace.thinking_end
    return len(trace.token_ids) if trace.finished else None


def beginning(
    base: Trace | None, appended: Sequence[int], max_tokens: int
) -> tuple[list[int], FinishReason | None]:
    """The tokens that a response begins with, and its end where nothing is left to generate.

    A new one (no `base`) begins with nothing; one that continues a trace with that trace up to the end
    of its thinking, and the tokens of the string in the place of this end. A trace without an end to
    ignore stands as it is.
    """
    if base is None:
        return [], None
    end = ignorable_end(base)
    if end is None:
        return list(base.token_ids), "stop" if base.finished else "repetition" if base.looped else "length"
    given = [*base.token_ids[:end], *appended]
    return given[:max_tokens], "length" if len(given) >= max_tokens else None


def banned_token_ids(
    base: Trace | None, appended: str, delimiters: Delimiters | None
) -> list[tuple[int, ...]]:
    """The requests of a trace, each as the token ids that are barred from it: one, or none at all.

    Where an end is ignored without a string, a request for one token goes first with the delimiter
    barred, or greedy decoding would write it again.
    """
    if base is None or appended or delimiters is None:
        return [()]
    return [delimiters.close_ids[:1], ()]


# s1 (arXiv 2501.19393), step-conditional control: `{k} steps left`, letter for letter.
_ZERO = re.compile(r"(?<![0-9.,])0 steps left")


def countdown_end(ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> int | None:
    """Number of tokens after which the countdown has reached zero steps; None where it never does.

    `ids` are the tokens of the thinking. A step's text may end within a token: that token belongs to it.
    """
    found = _ZERO.search(decode(ids))
    if found is None:
        return None
    # The text of more tokens holds that of fewer, so the shortest prefix with the words is found by halving.
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if _ZERO.search(decode(ids[:middle])):
            high = middle
        else:
            low = middle + 1
    return low
