"""How efficiently each trace reached its answer (definitions: Efficiency of single traces).

A trace is right or wrong at every budget of the grid; "the end" is the grid's last budget. Figures
that do not exist are NaN. Length |y| is in response tokens, or in those that the budgets count.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.measures.bootstrap import REPLICATES
from reghar.measures.clusters import Clusters
from reghar.measures.curves import problem_means, stored_traces
from reghar.measures.draws import drawn_values
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """One task's traces; P problems, n samples. NaN throughout where a trace is not stored."""

    first_correct: Array
    """Shape (P, n): first budget with a correct answer, tokens; NaN where there is none."""
    settled: Array
    """Shape (P, n): first budget from which on every answer is correct, tokens; NaN if wrong at the end."""
    flips: Array
    """Shape (P, n): how often a correct answer was lost and found again (correct, wrong, correct)."""
    overthought: Array
    """Shape (P, n): 1.0 where the answer was correct earlier and is wrong at the end, else 0.0."""
    wasted_tokens: Array
    """Shape (P, n): |y| - min(settled, |y|), tokens; NaN where never settled."""
    outcome_efficiency: Array
    """Shape (P, n): min(first correct, |y|) / |y|, 0..1, low is wordy; NaN if never correct or |y| = 0."""


@dataclass(frozen=True, kw_only=True)
class EfficiencyMean:
    """One figure over a task: mean over the traces of each problem that have it, then over problems."""

    value: float
    low: float | None
    """Lower end of the 95% interval over problems; None for fewer than 2."""
    high: float | None
    traces: int
    """How many traces have the figure, at least 1."""


def efficiency_means(
    outcomes: TaskOutcomes, *, seed: int, replicates: int = REPLICATES
) -> dict[str, EfficiencyMean | None]:
    """Every field of `Efficiency`, and `never_correct`: the share of traces right at no budget.

    None where no trace has the figure. Intervals draw the problems that have it.
    """
    traces = efficiency_of(outcomes)
    values = {field.name: getattr(traces, field.name) for field in fields(traces)}
    never = np.where(np.isnan(traces.first_correct), 1.0, 0.0)
    values["never_correct"] = np.where(np.isnan(traces.overthought), np.nan, never)
    return {
        name: _over_problems(one, name in SHARES, outcomes, seed, replicates) for name, one in values.items()
    }


SHARES = ("overthought", "outcome_efficiency", "never_correct")
"""Figures between 0 and 1."""


def _over_problems(
    values: Array, share: bool, outcomes: TaskOutcomes, seed: int, replicates: int
) -> EfficiencyMean | None:
    known = np.isfinite(values)
    held = known.any(axis=1)
    if not held.any():
        return None
    means = problem_means(np.where(known, values, 0.0), known)
    mean, clusters = float(means.mean()), Clusters.of(outcomes).kept(held)
    low = high = None
    if clusters.count > 1:
        draws = drawn_values(
            means[:, None], seed=seed, task=outcomes.task, replicates=replicates, clusters=clusters
        )
        low, high = draws.estimate(mean, draws.means[:, 0], share=share).interval()
    return EfficiencyMean(value=mean, low=low, high=high, traces=int(known.sum()))


def efficiency_of(outcomes: TaskOutcomes) -> Efficiency:
    """The per-trace figures of a task; a trace that is not stored at every budget is NaN."""
    right = outcomes.correct > 0
    budgets = outcomes.budgets.astype(np.float64)
    length = outcomes.counted.astype(np.float64)
    stored = stored_traces(outcomes)
    first, settled = first_correct(right, budgets), settled_budget(right, budgets)
    some = np.where(length > 0, length, np.nan)
    figures = {
        "first_correct": first,
        "settled": settled,
        "flips": flips(right).astype(np.float64),
        "overthought": (right.any(axis=-1) & ~right[..., -1]).astype(np.float64),
        "wasted_tokens": length - np.minimum(settled, length),
        "outcome_efficiency": np.minimum(first, length) / some,
    }
    return Efficiency(**{name: np.where(stored, values, np.nan) for name, values in figures.items()})


def first_correct(right: NDArray[np.bool_], budgets: ArrayLike) -> Array:
    """The first budget that is right, (..., B) to (...); NaN where none is."""
    values = np.asarray(budgets, dtype=np.float64)
    return np.where(right.any(axis=-1), values[right.argmax(axis=-1)], np.nan)


def settled_budget(right: NDArray[np.bool_], budgets: ArrayLike) -> Array:
    """The first budget from which on all are right, (..., B) to (...); NaN where the last is wrong."""
    values = np.asarray(budgets, dtype=np.float64)
    trailing = (~right[..., ::-1]).argmax(axis=-1)
    trailing = np.where(right.all(axis=-1), right.shape[-1], trailing)
    start = np.minimum(right.shape[-1] - trailing, right.shape[-1] - 1)
    return np.where(trailing > 0, values[start], np.nan)


def flips(right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How often a curve (..., B) goes from right to wrong and back to right; shape (...)."""
    gained = (right[..., 1:] & ~right[..., :-1]).sum(axis=-1)
    runs = gained + right[..., 0]
    returns: NDArray[np.int64] = np.maximum(runs - 1, 0)
    return returns


def minimal_budgets(means: ArrayLike, budgets: ArrayLike) -> Array:
    """Per-question minimal budget L^x (REG eq. 12), from forced answers rather than the bare prefix.

    `means` (runs, P, B) holds each run's accuracy per problem. Shape (P,), tokens: the smallest budget
    >= 1 at which the best run's mean reaches the best mean at the last budget; NaN where that is 0.
    """
    values = np.asarray(budgets, dtype=np.float64)
    best = np.asarray(means, dtype=np.float64).max(axis=0)
    target = best[:, -1:]
    reached = (best >= target) & (values >= 1)
    return np.where(target[:, 0] > 0, first_correct(reached, values), np.nan)
