"""Does a model think where it pays? (definitions: Allocation of thinking)

From the outcome of every (trace, budget) alone. A trace's tokens fall into three parts: those before
its answer settled, those after it (the overthinking tax), and those of traces that no budget makes right.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.measures.bootstrap import REPLICATES
from reghar.measures.catalogue import IntervalKind
from reghar.measures.clusters import Clusters
from reghar.measures.curves import stored_traces
from reghar.measures.draws import Draws, drawn_means
from reghar.measures.efficiency import settled_budget
from reghar.measures.estimate import Estimate
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class IntervalFigure:
    """A mean or share with its 95% interval; NaN where nothing has it, or where there is no interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Where one task's tokens went. "The end" is the grid's last budget."""

    task: str
    budgets: NDArray[np.int64]
    """Shape (B,), tokens."""
    overthinking_tax: IntervalFigure
    """Mean tokens after the settled budget, over traces right at the end."""
    overthinking_share: IntervalFigure
    """Those tokens as a share of all tokens of the task, 0..1."""
    futility_waste: IntervalFigure
    """Mean tokens of the traces that are right at no budget."""
    futility_share: IntervalFigure
    """Those tokens as a share of all, 0..1."""
    starvation: tuple[IntervalFigure, ...]
    """By budget: share of traces wrong there and right at the end, 0..1."""
    harm: tuple[IntervalFigure, ...]
    """By budget: share of traces right there and wrong at the end, 0..1."""
    notes: tuple[str, ...]

    @property
    def useful_share(self) -> float:
        """The share of all tokens that is neither, 0..1."""
        return 1.0 - self.overthinking_share.value - self.futility_share.value


def allocation_of(
    outcomes: TaskOutcomes,
    *,
    kind: IntervalKind = "problems",
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Allocation:
    """The figures of a task, each with its interval. Raises InputError for an incomplete run."""
    outcomes.require_complete()
    stored = stored_traces(outcomes)
    statistics = _statistics(outcomes)
    draws, notes = drawn_means(
        statistics,
        stored,
        kind,
        task=outcomes.task,
        seed=seed,
        replicates=replicates,
        clusters=Clusters.of(outcomes),
    )
    means = statistics.sum(axis=(0, 1)) / stored.size
    count = len(outcomes.budgets)

    def ratio(top: int, bottom: int, *, share: bool = False) -> IntervalFigure:
        columns = None if draws is None else (draws.means[:, top], draws.means[:, bottom])
        return _figure(draws, _quotient(means[top], means[bottom]), columns, share=share)

    def shares(first: int) -> tuple[IntervalFigure, ...]:
        return tuple(
            _figure(
                draws,
                float(means[column]),
                None if draws is None else (draws.means[:, column], np.ones(len(draws.means))),
                share=True,
            )
            for column in range(first, first + count)
        )

    return Allocation(
        task=outcomes.task,
        budgets=outcomes.budgets,
        overthinking_tax=ratio(_TAX, _SETTLED),
        overthinking_share=ratio(_TAX, _TOKENS, share=True),
        futility_waste=ratio(_FUTILE_TOKENS, _FUTILE),
        futility_share=ratio(_FUTILE_TOKENS, _TOKENS, share=True),
        starvation=shares(_FIRST_SHARE),
        harm=shares(_FIRST_SHARE + count),
        notes=tuple(notes),
    )


_TAX, _SETTLED, _FUTILE_TOKENS, _FUTILE, _TOKENS, _FIRST_SHARE = range(6)
"""Columns of the statistics; from the last on starvation, then harm, one column per budget."""


def _statistics(outcomes: TaskOutcomes) -> Array:
    """Shape (P, n, 5 + 2 B)."""
    right = outcomes.correct > 0
    length = outcomes.counted.astype(np.float64)
    settled = settled_budget(right, outcomes.budgets)
    at_end = right[..., -1:]
    futile = ~right.any(axis=-1)
    tax = np.where(np.isnan(settled), 0.0, length - np.minimum(settled, length))
    columns = [tax, ~np.isnan(settled), futile * length, futile, length]
    return np.concatenate(
        [np.stack(columns, axis=-1, dtype=np.float64), ~right & at_end, right & ~at_end], axis=-1
    )


def _figure(
    draws: Draws | None, value: float, columns: tuple[Array, Array] | None, *, share: bool
) -> IntervalFigure:
    if draws is None or columns is None or math.isnan(value):
        return IntervalFigure(value=value, low=math.nan, high=math.nan)
    top, bottom = columns
    replicates = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
    estimate: Estimate = draws.estimate(value, replicates, share=share)
    low, high = estimate.interval()
    # No token count and no share is below 0, whatever Student's t says of a few problems.
    return IntervalFigure(value=value, low=max(0.0, low), high=high)


def _quotient(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else math.nan


FIGURES = ("overthinking_tax", "overthinking_share", "futility_waste", "futility_share")
"""Of a task as a whole, by name."""


def allocation_json(found: Allocation) -> dict[str, Any]:
    """Where a task's tokens went, as plain JSON values: null where nothing has a figure."""
    useful = found.useful_share
    return {
        "useful_share": max(0.0, useful) if math.isfinite(useful) else None,
        **{name: _ends(getattr(found, name)) for name in FIGURES},
        "budgets": found.budgets.tolist(),
        "starvation": [_ends(one) for one in found.starvation],
        "harm": [_ends(one) for one in found.harm],
    }


def _ends(figure: IntervalFigure) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(figure).items()}
