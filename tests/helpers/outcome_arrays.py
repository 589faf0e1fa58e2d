"""Small `TaskOutcomes` for tests, from arrays of right and wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reghar.store.outcomes import TaskOutcomes


def outcomes_of(
    correct: ArrayLike,
    budgets: Sequence[int],
    *,
    task: str = "aime24",
    lengths: ArrayLike | None = None,
    thinking: ArrayLike | None = None,
) -> TaskOutcomes:
    """Outcomes from `correct`, shape (P, n, B) of 0 and 1; every trace finishes, and thinks to its end where
    no `thinking` lengths are given."""
    right = np.asarray(correct, dtype=bool)
    length = np.full(right.shape[:2], 100) if lengths is None else np.asarray(lengths)
    outcome = np.where(right, 0, 1).astype(np.int8)
    everywhere = np.ones(right.shape[:2], dtype=bool)
    return TaskOutcomes(
        task=task,
        problems=tuple(f"{task}-{index}" for index in range(len(right))),
        budgets=np.array(budgets, dtype=np.int64),
        outcome=outcome,
        full=outcome[..., -1].copy(),
        length=length,
        thinking_length=length if thinking is None else np.asarray(thinking),
        finished=everywhere,
        looped=~everywhere,
        thought=everywhere,
        thinking_opened=~everywhere,
        thinking_closed=everywhere,
    )


def random_outcomes(
    problems: int,
    samples: int,
    budgets: Sequence[int],
    *,
    task: str = "aime24",
    seed: int = 0,
    skill: float = 0.0,
) -> TaskOutcomes:
    """Traces that become right at some budget, or never, with difficulties that differ by problem.

    They think for three to nine tenths of their length.
    """
    generator = np.random.default_rng(seed)
    lengths = generator.integers(max(budgets) // 8 + 1, max(budgets) + 1, size=(problems, samples))
    needed = lengths * generator.uniform(0.3, 1.0, size=(problems, samples))
    chance = np.clip(generator.beta(0.6, 0.5, size=(problems, 1)) + skill, 0, 1)
    solves = generator.random((problems, samples)) < chance
    correct = solves[..., None] & (np.array(budgets) >= needed[..., None])
    share = np.random.default_rng(seed + 1).uniform(0.3, 0.9, size=lengths.shape)
    thinking = (share * lengths).astype(np.int64)
    return outcomes_of(correct, budgets, task=task, lengths=lengths, thinking=thinking)
