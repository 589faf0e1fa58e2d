"""Intervals over training seeds (definitions: Statistics): a method is more than the models at hand.

Several models trained by one method with different seeds are a sample of what the method gives. Their
figures, on the same problems, have Student's t interval ("Student", Biometrika 6, 1908); two methods differ
by Welch's t (Biometrika 34, 1947). What is drawn from are trainings, each with its own draw of answers; the
problems stay fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from reghar.measures.estimate import COVERAGE, wilson
from reghar.measures.reg import RESOLUTION

Array = NDArray[np.float64]

FEWEST = 3
"""Below as many seeds a spread over them says nothing."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with the variance of its error."""

    value: float
    variance: float
    """Of the mean, in squared units, at least 0."""
    df: float
    """Degrees of freedom of that variance, above 0."""

    def interval(self) -> tuple[float, float]:
        """Student's t, 95%."""
        reach = float(-stdtrit(self.df, (1 - COVERAGE) / 2)) * math.sqrt(self.variance)
        return self.value - reach, self.value + reach

    def share_interval(self, units: int) -> tuple[float, float]:
        """Of a share over `units` problems: within 0..1, joined with Wilson's, and so never a point."""
        low, high = self.interval()
        one, other = wilson(self.value, math.sqrt(self.variance), units)
        return min(max(low, 0.0), one), max(min(high, 1.0), other)

    def p_value(self) -> float:
        """Two-sided, of the mean being 0 in truth; below 0.05 where the interval excludes 0."""
        if abs(self.value) < RESOLUTION:
            return 1.0
        if self.variance == 0:
            return 0.0
        return float(2 * stdtr(self.df, -abs(self.value) / math.sqrt(self.variance)))


def over_seeds(values: Array) -> Mean:
    """The mean of a figure over S models, (S,), one for each training seed; S is at least 2."""
    count = len(values)
    return Mean(value=float(values.mean()), variance=float(values.var(ddof=1)) / count, df=float(count - 1))


def over_answers(tasks: Sequence[Array]) -> Mean | None:
    """The mean over tasks of what the traces of models at hand contribute, (P, n) each, n from 2 on.

    Its error is that of other answers of the same models on the same problems. None for one sample.
    """
    if min(task.shape[1] for task in tasks) < 2:
        return None
    variances = [float(task.var(axis=1, ddof=1).mean()) / task.size / len(tasks) ** 2 for task in tasks]
    degrees = [float(task.size - len(task)) for task in tasks]
    value = float(np.mean([task.mean() for task in tasks]))
    return Mean(value=value, variance=sum(variances), df=_satterthwaite(variances, degrees))


def subtracted(ours: Mean, theirs: Mean, *, least: float = 0.0) -> Mean:
    """ours - theirs of independent means: Welch's t. `least` is an error that it has at least."""
    variances, degrees = [ours.variance, theirs.variance], [ours.df, theirs.df]
    return Mean(
        value=ours.value - theirs.value,
        variance=max(sum(variances), least**2),
        df=_satterthwaite(variances, degrees),
    )


def _satterthwaite(variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent estimated variances; of no variance the fewest."""
    parts = sum(variance**2 / df for variance, df in zip(variances, degrees, strict=True))
    return sum(variances) ** 2 / parts if parts > 0 else min(degrees)
