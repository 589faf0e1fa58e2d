"""Outcomes to curves: accuracy by budget, for one model on one task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.store.outcomes import MISSING, TaskOutcomes


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Accuracy by budget, J(L) of REG section 4.1, for one model on one task."""

    task: str
    budgets: NDArray[np.int64]
    """Shape (B,), tokens, strictly increasing."""
    accuracy: NDArray[np.float64]
    """Shape (B,), 0..1."""
    problems: int
    """Problems that the mean is taken over."""
    samples: int
    """Samples per problem; in a partial curve the fewest that any of these problems has."""
    complete: bool
    """False for a partial curve: some planned samples are missing."""


def stored_traces(outcomes: TaskOutcomes) -> NDArray[np.bool_]:
    """Shape (P, n): traces of which every outcome, at all budgets and in full, is there."""
    missing: NDArray[np.bool_] = (outcomes.outcome == MISSING).any(axis=2) | (outcomes.full == MISSING)
    return ~missing


def problem_means(values: NDArray[np.float64], stored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over each problem's stored samples: values (P, n, ...) and stored (P, n) to (P', ...).

    P' counts the problems with at least one stored sample; the others are left out. The divisor is
    what is stored, never a configured number of samples (definitions: The curve).
    """
    some = stored.any(axis=1)
    values, stored = values[some], stored[some]
    # Sums first: of rights and wrongs they are whole numbers, the same in any order.
    sums: NDArray[np.float64] = np.einsum("pn,pn...->p...", stored.astype(np.float64), values)
    means: NDArray[np.float64] = sums / stored.sum(axis=1).reshape(-1, *[1] * (sums.ndim - 1))
    return means


def mean_over_problems(values: NDArray[np.float64], stored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over problems of `problem_means`: (P, n, ...) to (...).

    Where every sample is stored, the sum divided once: equal scores give equal bits in any order.
    """
    if stored.all():
        total: NDArray[np.float64] = values.sum(axis=(0, 1)) / stored.size
        return total
    mean: NDArray[np.float64] = problem_means(values, stored).mean(axis=0)
    return mean


def curve_of(outcomes: TaskOutcomes, *, partial: bool = False) -> Curve:
    """J(L): mean over problems of the mean over samples of correct answers (definitions: The curve).

    `partial` accepts an incomplete run and uses the traces that are stored with all their outcomes,
    for reports that mark it. Raises InputError for an incomplete run otherwise, and where nothing
    is stored.
    """
    if not partial:
        outcomes.require_complete()
    stored = stored_traces(outcomes)
    counts = stored.sum(axis=1)
    counts = counts[counts > 0]
    if counts.size == 0:
        raise InputError(
            f"{outcomes.task}: no trace is stored with all its outcomes; finish the run, or grade it with "
            "`reghar score`"
        )
    return Curve(
        task=outcomes.task,
        budgets=outcomes.budgets,
        accuracy=mean_over_problems(outcomes.correct, stored),
        problems=int(counts.size),
        samples=int(counts.min()),
        complete=bool(stored.all()),
    )
