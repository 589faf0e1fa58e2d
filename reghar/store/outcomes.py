"""What became of every (trace, budget), as arrays: the input of curves, measures and reports.

From here on everything is numpy on one core; no engine, tokenizer or grader is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.protocol import BudgetCounts

_SMALLEST_SETTING = 256
"""Tokens."""

MISSING = -1
"""The code of a planned (problem, sample, budget) that the run does not hold (yet)."""


@dataclass(frozen=True, kw_only=True)
class TaskOutcomes:
    """One model on one task. P problems, n samples per problem, B budgets."""

    task: str
    problems: tuple[str, ...]
    """Problem ids, in the task's order."""
    budgets: NDArray[np.int64]
    """Shape (B,), tokens, strictly increasing."""
    outcome: NDArray[np.int8]
    """Shape (P, n, B): index into `OUTCOMES`, or `MISSING`."""
    full: NDArray[np.int8]
    """Shape (P, n): outcome of the whole trace's own answer at `max_tokens`, or `MISSING`."""
    length: NDArray[np.int64]
    """Shape (P, n): response tokens |y|, end-of-sequence token excluded; 0 where missing."""
    thinking_length: NDArray[np.int64]
    """Shape (P, n): tokens inside the thinking block; 0 where there is none or it is missing."""
    finished: NDArray[np.bool_]
    """Shape (P, n): the model ended the trace itself, before `max_tokens`."""
    looped: NDArray[np.bool_]
    """Shape (P, n): the trace ends in a verbatim repetition."""
    thought: NDArray[np.bool_]
    """Shape (P, n): the trace has a thinking block (opened in the prompt or by the model)."""
    thinking_opened: NDArray[np.bool_]
    """Shape (P, n): the prompt left that block open."""
    thinking_closed: NDArray[np.bool_]
    """Shape (P, n): that block was closed."""
    budget_counts: BudgetCounts = "response"
    """Which tokens the budgets count."""
    settings: tuple[int, ...] | None = None
    """The budgets that the run names as settings of budget forcing; None where it names none."""
    clusters: tuple[str, ...] | None = None
    """The cluster of each problem, drawn together in a bootstrap over problems; None: each stands alone."""

    @property
    def forced_settings(self) -> tuple[int, ...]:
        """The settings of `force`: the budgets named, else the grid's powers of two from 256 on.

        They are s1's set A of this method (definitions: s1's measures).
        """
        if self.settings is not None:
            return self.settings
        grid = (int(budget) for budget in self.budgets)
        return tuple(one for one in grid if one >= _SMALLEST_SETTING and one & (one - 1) == 0)

    @property
    def counted(self) -> NDArray[np.int64]:
        """Shape (P, n): the tokens of every trace that the budgets count."""
        return self.length if self.budget_counts == "response" else self.thinking_length

    @property
    def complete(self) -> bool:
        """True when every planned (problem, sample, budget) has an outcome (definitions: The curve)."""
        return not ((self.outcome == MISSING).any() or (self.full == MISSING).any())

    def require_complete(self) -> None:
        """Raises `InputError` that counts the traces without all of their outcomes."""
        if not self.complete:
            lacking = (self.outcome == MISSING).any(axis=2) | (self.full == MISSING)
            raise InputError(
                f"{self.task}: the run is incomplete, {int(lacking.sum())} of {lacking.size} traces are "
                "missing or not scored at every budget; finish it with --resume"
            )

    @property
    def correct(self) -> NDArray[np.float64]:
        """Shape (P, n, B): 1.0 where the answer at that budget is correct, else 0.0."""
        return np.asarray(self.outcome == OUTCOMES.index(Outcome.CORRECT), dtype=np.float64)

    @property
    def full_correct(self) -> NDArray[np.float64]:
        """Shape (P, n): 1.0 where the whole trace's own answer is correct, else 0.0."""
        return np.asarray(self.full == OUTCOMES.index(Outcome.CORRECT), dtype=np.float64)
