"""From replicates to what is said: intervals, p-values, standard errors; all of one inversion.

An interval of coverage c holds exactly the values that a test of size 1 - c does not reject, so that
interval and p-value never disagree (from some 1,000 replicates on). Sources: Hesterberg, "What
Teachers Should Know about the Bootstrap" (2015), for expanded percentiles; Wilson, JASA 22 (1927), at
the effective size of Korn and Graubard, Survey Methodology 24 (1998), for shares near 0 and 1;
Fisher's sign-flip test, "The Design of Experiments" (1935), chapter 3, for a handful of problems.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from reghar.measures.bootstrap import Expansion, mean_expansion
from reghar.measures.catalogue import IntervalKind
from reghar.measures.clusters import Clusters
from reghar.measures.reg import RESOLUTION

Array = NDArray[np.float64]

COVERAGE = 0.95
FEW = 6
"""Below as many problems their percentiles say nothing: Student's t, and the exact test of sign flips."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with the distribution of its sampling error."""

    value: float
    """In its unit."""
    replicates: Array
    """Shape (R,), in the same unit; infinite where a level is never reached, NaN where there is none."""
    expansion: Expansion
    units: int
    """Problems behind it, or clusters of them where these are drawn; of a mean over tasks the fewest that
    a task has."""
    drawn: IntervalKind
    share: bool = False
    """True for a share of problems or traces."""
    whole: float = 1.0
    """What such a share has at most: 1, or 100 where it is in percent."""
    difference: bool = False
    """True for a difference: its percentiles are joined with Student's t, which they fall short of where
    a few problems carry most of the spread."""
    flips: Array | None = None
    """Of a paired difference of fewer than `FEW` units, see `sign_flips`: (2^C, 2)."""

    @cached_property
    def _known(self) -> Array:
        """The replicates that have the figure."""
        known: Array = self.replicates[~np.isnan(self.replicates)]
        return known

    @cached_property
    def standard_error(self) -> float:
        """The replicates' spread, expanded; NaN where one is infinite."""
        if not np.isfinite(self._known).all():
            return math.nan
        error = float(np.std(self._known)) * self.expansion.factor
        return error if error > RESOLUTION else 0.0

    @property
    def studentized(self) -> bool:
        """Whether Student's t stands in the place of percentiles."""
        few = self.drawn == "problems" and self.units < FEW
        return few and math.isfinite(self.standard_error)

    def interval(self, coverage: float = COVERAGE) -> tuple[float, float]:
        """Both ends. A share's is joined with Wilson's, a difference of few problems holds 0."""
        low, high = self._ends((1 - coverage) / 2)
        if self.share:
            whole = self.whole
            ends = wilson(self.value / whole, self.standard_error / whole, self.units, coverage)
            return min(max(low, 0.0), whole * ends[0]), max(min(high, whole), whole * ends[1])
        if self.flips is not None and self.p_value() > 1 - coverage:
            return min(low, 0.0), max(high, 0.0)
        return low, high

    def p_value(self) -> float:
        """Two-sided, 0..1: of the figure being 0 in truth. Below 1 - c where the interval of coverage c
        excludes 0."""
        return min(1.0, 2 * min(self.p_at_most(0.0), self.p_at_least(0.0)))

    def p_at_most(self, null: float) -> float:
        """One-sided: how surprising so high a figure is where the truth is at most `null`."""
        return self._p_value(null, 1.0)

    def p_at_least(self, null: float) -> float:
        """One-sided: how surprising so low a figure is where the truth is at least `null`."""
        return self._p_value(null, -1.0)

    def _ends(self, one_sided: float) -> tuple[float, float]:
        low, high = percentiles(self._known, self.expansion.tail(one_sided))
        if not (self.studentized or self._joined):
            return low, high
        reach = float(-stdtrit(self.expansion.df, one_sided)) * self.standard_error
        if self.studentized:
            return self.value - reach, self.value + reach
        return min(low, self.value - reach), max(high, self.value + reach)

    @property
    def _joined(self) -> bool:
        return self.difference and math.isfinite(self.standard_error)

    def _p_value(self, null: float, side: float) -> float:
        beyond = side * (self.value - null)
        if abs(beyond) < RESOLUTION:
            beyond = 0.0
        exact = self._flipped(null, side) if self.flips is not None else 0.0
        students = self._students(beyond) if self.studentized or self._joined else 0.0
        if self.studentized:
            return max(exact, students)
        # As many replicates on the wrong side of the null as leave its end of the interval there.
        wrong = int((side * (self._known - null) <= RESOLUTION).sum())
        count = len(self._known)
        return max(students, self.expansion.one_sided(min((wrong + 1) / (count + 1), 1.0)))

    def _students(self, beyond: float) -> float:
        error = self.standard_error
        if error == 0:
            return 0.0 if beyond > 0 else 1.0
        return float(stdtr(self.expansion.df, -beyond / error))

    def _flipped(self, null: float, side: float) -> float:
        """The share of sign flips that reach as far beyond the null as what was seen."""
        if self.flips is None:
            return 0.0
        if not np.isfinite(self.flips).all():
            return 1.0  # no problem alone has the figure: nothing can be flipped
        means, signs = self.flips.T
        # Signs go with the differences less the null.
        return float(np.mean(side * (means - signs * null - (self.value - null)) >= -RESOLUTION))


def sign_flips(differences: Array, clusters: Clusters) -> Array:
    """All 2^C ways to flip the signs of paired differences, shape (P,), of C clusters: their mean over
    problems, and the signs' mean.

    Shape (2^C, 2). The problems of a cluster have one sign.
    """
    sums, sizes = clusters.sums(differences), clusters.sizes
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=clusters.count)))
    count = len(differences)
    return np.stack([(signs * sums).sum(axis=1) / count, (signs * sizes).sum(axis=1) / count], axis=1)


def percentiles(replicates: Array, tail: float) -> tuple[float, float]:
    """The order statistics that cut `tail` off on each side of (R,).

    They are taken as they are, without interpolation, so that an infinite replicate (a level that a
    curve never reaches) keeps its rank.
    """
    low, high = percentile_bands(replicates, tail)
    return float(low), float(high)


def percentile_bands(replicates: Array, tail: float) -> tuple[Array, Array]:
    """`percentiles` along the first axis: (R, ...) to (...) each."""
    count = len(replicates)
    rank = min(max(math.floor(tail * (count + 1)) - 1, 0), (count - 1) // 2)
    ranked = np.partition(replicates, (rank, count - 1 - rank), axis=0)
    return ranked[rank], ranked[count - 1 - rank]


def wilson(share: float, error: float, units: int, coverage: float = COVERAGE) -> tuple[float, float]:
    """Wilson's interval of a share of standard error `error`, at the size of as exact a simple sample.

    That size is share (1 - share) / error^2; the number of units (problems, or clusters of them) where all
    agree, so that 40 of 40 right is no certainty.
    """
    share = min(max(share, 0.0), 1.0)
    size = float(units)
    if math.isfinite(error) and error > 0 and 0 < share < 1:
        size = share * (1 - share) / error**2
    z = float(-ndtri((1 - coverage) / 2))
    center = (share + z * z / (2 * size)) / (1 + z * z / size)
    reach = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return max(0.0, min(center - reach, share)), min(1.0, max(center + reach, share))


def mean_estimate(tasks: Sequence[Estimate]) -> Estimate:
    """The plain mean over tasks, whose draws are independent. Of one task itself."""
    if len(tasks) == 1:
        return tasks[0]
    replicates = [task.replicates for task in tasks]
    return Estimate(
        value=float(np.mean([task.value for task in tasks])),
        replicates=np.mean(replicates, axis=0),
        expansion=mean_expansion(replicates, [task.expansion for task in tasks]),
        units=min(task.units for task in tasks),
        drawn=tasks[0].drawn,
        share=all(task.share for task in tasks),
        whole=tasks[0].whole,
        difference=all(task.difference for task in tasks),
        flips=_joint_flips(tasks),
    )


def _joint_flips(tasks: Sequence[Estimate]) -> Array | None:
    """Flips of all tasks' problems together; None where that are enough for Student's t alone."""
    flips = [task.flips for task in tasks if task.flips is not None]
    if len(flips) < len(tasks) or sum(task.units for task in tasks) >= FEW:
        return None
    return np.array([np.mean(choice, axis=0) for choice in itertools.product(*flips)])


def shifted(estimate: Estimate, by: float) -> Estimate:
    """The figure less a constant, with the same error: no share any more."""
    return replace(
        estimate, value=estimate.value + by, replicates=estimate.replicates + by, share=False, difference=True
    )


class Noise(Protocol):
    """The sampling error of a difference."""

    def interval(self, coverage: float = COVERAGE) -> tuple[float, float]:
        """Both ends."""

    def p_at_most(self, null: float) -> float:
        """One-sided p-value of a truth of at most `null`."""

    def p_at_least(self, null: float) -> float:
        """One-sided p-value of a truth of at least `null`."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference, candidate minus baseline, in the unit of what is compared."""

    value: float
    low: float
    """Lower end of the 95% interval."""
    high: float
    p_value: float
    """Two-sided, 0..1: below 0.05 where the interval excludes 0, and only there."""
    standard_error: float
    detectable: float
    """Smallest true difference found with 80% power by a two-sided 5% test."""
    noise: Noise
    """Its sampling error, for limits at other levels and tests against other values than 0."""
    df: float = math.inf
    """Degrees of freedom of that error."""

    @classmethod
    def of(cls, estimate: Estimate) -> Difference:
        """The difference that was estimated."""
        low, high = estimate.interval()
        error = estimate.standard_error
        value = estimate.value if abs(estimate.value) >= RESOLUTION else 0.0
        return cls(
            value=value,
            low=low,
            high=high,
            p_value=estimate.p_value(),
            standard_error=error,
            detectable=detectable_difference(error, estimate.expansion.df),
            noise=estimate,
            df=estimate.expansion.df,
        )


def detectable_difference(
    standard_error: float, df: float, *, tests: int = 1, size: float = 0.05, power: float = 0.8
) -> float:
    """The smallest true difference that a two-sided test of `size` finds with `power`.

    Student's t with `df` degrees of freedom; of several tests the level that Holm's method asks of the
    smallest p-value.
    """
    quantiles = -stdtrit(df, size / (2 * tests)) + stdtrit(df, power)
    return float(quantiles) * standard_error


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; each 0..1."""
    count = len(p_values)
    adjusted = [0.0] * count
    worst = 0.0
    for position, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (count - position) * p_values[index]))
        adjusted[index] = worst
    return adjusted
