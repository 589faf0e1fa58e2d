"""The frontier as a run sees it: at the run's budgets and problems, and with the frontier's own error.

A frontier was measured on the run's problems, so a gap to it is a paired quantity. Where its file
holds what every problem contributed, problems are drawn for both together. Where it holds task means
alone, only samples can be drawn, and the error of those means is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.frontiers.frontier import TaskFrontier
from reghar.measures import reg
from reghar.measures.curves import Curve
from reghar.measures.reg import LEVELS

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A task's frontier at the B budgets of a curve."""

    accuracy: Array
    """Shape (B,), 0..1."""
    top: float
    """Its maximum up to the curve's last budget."""
    budgets_to: dict[int, float]
    """Level in percent of the top to the frontier's own first crossing, tokens."""
    samples: int
    """Samples per problem behind it."""
    by_problem: Array | None
    """Shape (P, B): what each of the run's problems contributes; None where that is not known."""
    cross_fitted: Array | None
    """Shape (B,): the maximum without its upward bias; None where it is not known."""
    error: Array
    """Shape (B,): its standard error from the samples behind it, on these problems."""

    @classmethod
    def of(cls, curve: Curve, frontier: TaskFrontier, problems: Sequence[str], means: Array) -> Reference:
        """The frontier for a curve on `problems`, of which `means` (P, B) holds the accuracies.

        Raises InputError where a budget lies outside the frontier's.
        """
        accuracy = reg.frontier_at(curve.budgets, frontier.budgets, frontier.accuracy)
        top = reg.frontier_top(frontier.budgets, frontier.accuracy, curve.budgets[-1])
        crossings = {
            level: float(reg.tokens_to_reach(frontier.budgets, frontier.accuracy, top * level / 100))
            for level in LEVELS
        }
        by_problem = _by_problem(curve, frontier, problems)
        fitted = frontier.cross_fitted
        return cls(
            accuracy=accuracy,
            top=top,
            budgets_to=crossings,
            samples=frontier.samples,
            by_problem=by_problem,
            cross_fitted=None if fitted is None else np.interp(curve.budgets, frontier.budgets, fitted),
            error=np.sqrt(_variance(accuracy, frontier, means, curve.samples, by_problem)),
        )


def _by_problem(curve: Curve, frontier: TaskFrontier, problems: Sequence[str]) -> Array | None:
    """Rows in the run's order; None unless the run has the frontier's problems, all of them."""
    ids, rows = frontier.problem_ids, frontier.problem_accuracy
    if ids is None or rows is None or sorted(ids) != sorted(problems):
        return None
    place = {problem: row for row, problem in enumerate(ids)}
    return np.array(
        [np.interp(curve.budgets, frontier.budgets, rows[place[problem]]) for problem in problems]
    )


def _variance(
    accuracy: Array, frontier: TaskFrontier, means: Array, samples: int, by_problem: Array | None
) -> Array:
    """Shape (B,): of the frontier's task means over other draws of its samples.

    With mean m over P problems at avg@n it is m (1 - m) / (P n) x d, where d <= 1 is the part of
    m (1 - m) that lies within problems rather than between them: taken from the frontier's own
    problems, else from the run's at the budget where its accuracy is nearest to m.
    """
    if by_problem is not None and frontier.samples > 1:
        within = (by_problem * (1 - by_problem)).mean(axis=0)
        return np.asarray(within / (frontier.problems * (frontier.samples - 1)))
    mean = means.mean(axis=0)
    nearest = np.abs(mean[None, :] - accuracy[:, None]).argmin(axis=1)
    whole = mean * (1 - mean)
    # A mean of n samples spreads over its own probability: p (1 - p) is short by (n - 1) / n.
    inside = (means * (1 - means)).mean(axis=0) * (samples / (samples - 1) if samples > 1 else 1.0)
    known = (whole > 0) & (samples > 1)
    share = np.where(known, np.minimum(inside / np.where(known, whole, 1.0), 1.0), 1.0)
    return np.asarray(accuracy * (1 - accuracy) / (frontier.problems * frontier.samples) * share[nearest])
