"""A response, growing or whole: where each budget cuts it, and the answer that it gives by itself."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from reghar.answers import ForcedAnswer, cut_position
from reghar.countdown import countdown_end
from reghar.engines.base import FinishReason
from reghar.jobs import Job
from reghar.models import Tokenizer
from reghar.protocol import BudgetCounts
from reghar.thinking import Block, Delimiters, find_block, opened_by_prompt


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
    block: Block = Block(None, None, 0)  # noqa: RUF009 - frozen

    def passed(self, waiting: deque[int], reason: FinishReason | None) -> list[tuple[int, int]]:
        """(budget, tokens kept) of the answers to force now: budgets passed, and at `max_tokens` the rest.

        Takes them off `waiting`. A budget that a finished response never passed needs none.
        """
        if self.job.setting.name and reason is None:
            return []  # a setting's own answers can wait: few, and where they cut is known at the end
        cuts = []
        while waiting:
            cut = self._cut(waiting[0])
            if cut is None and reason != "length":
                break
            cuts.append((waiting.popleft(), len(self.ids) if cut is None else cut))
        return cuts

    def _cut(self, budget: int) -> int | None:
        """Where `budget` cuts the response so far; None where it does not.

        Settings ask for thinking tokens, which are all tokens where there is no thinking block.
        """
        if not self.job.setting.name:
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

    def own_answer(self) -> ForcedAnswer:
        """The answer that the whole response gives by itself."""
        return ForcedAnswer(
            task=self.job.problem.task,
            problem=self.job.problem.id,
            sample=self.job.sample,
            setting=self.job.setting.name,
            budget=None,
            forced=False,
            text=self.natural(self.ids),
            token_ids=(),
            seed=self.seed,
            prompt_tokens=0,
            cached_tokens=0,
        )

    def natural(self, ids: list[int]) -> str | None:
        """Text after the thinking block; None where the thinking never closed."""
        block = find_block(ids, self.delimiters, opened=opened_by_prompt(self.prompt_ids, self.delimiters))
        return None if block.is_open else self.tokenizer.decode(ids[block.after :])
