"""Seeded bootstrap over problems or samples, intervals, paired differences, Holm's correction.

Replicates come first, as arrays of shape (R, ...); intervals are percentiles of them. One draw of
indices belongs to (seed, task, number of problems): two models on the same problems get the same
draw, so that differences of their replicates are paired.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

Array = NDArray[np.float64]

REPLICATES = 10_000
COVERAGE = 0.95
_POWER_FACTOR = 2.80
"""1.96 + 0.84: standard errors that a two-sided 5% test detects with 80% power."""
_CHUNK_CELLS = 4_000_000
"""Weights held at a time: 32 MB, whatever the number of problems and replicates."""


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """How far percentile levels are moved outwards, because the plain bootstrap is too narrow.

    The variance of n units drawn from n is short by (n - 1) / n, and the normal quantile stands
    where Student's belongs: Hesterberg, "What Teachers Should Know about the Bootstrap" (2015),
    section 5.3, "expanded percentile interval".
    """

    factor: float
    """Factor on the standard error, at least 1."""
    df: float
    """Degrees of freedom of Student's t, above 0."""

    def tail(self, p_value: float) -> float:
        """The percentile level on each side whose interval has size `p_value` of two-sided error."""
        return float(ndtr(self.factor * stdtrit(self.df, p_value / 2)))

    def p_value(self, tail: float) -> float:
        """The two-sided p-value of replicates of which the share `tail` lies beyond zero; inverts `tail`."""
        if tail >= 0.5:
            return 1.0
        return float(2 * stdtr(self.df, ndtri(tail) / self.factor))


def problem_expansion(problems: int) -> Expansion:
    """The correction for a bootstrap over `problems` whole problems (at least 2)."""
    return Expansion(factor=math.sqrt(problems / (problems - 1)), df=problems - 1)


def sample_expansion(problems: int, samples: int) -> Expansion:
    """The correction for drawing `samples` (at least 2) within each of `problems` fixed problems."""
    return Expansion(factor=math.sqrt(samples / (samples - 1)), df=problems * (samples - 1))


def mean_expansion(replicates: Sequence[Array], expansions: Sequence[Expansion]) -> Expansion:
    """The correction for the mean over tasks of independent replicates (Satterthwaite's df)."""
    variances = np.array(
        [float(np.var(task)) if np.isfinite(task).all() else math.nan for task in replicates]
    )
    if len(expansions) == 1 or not np.isfinite(variances).all() or variances.sum() == 0:
        return min(expansions, key=lambda expansion: expansion.df)
    true = variances * np.array([expansion.factor**2 for expansion in expansions])
    degrees = np.array([expansion.df for expansion in expansions])
    return Expansion(
        factor=math.sqrt(true.sum() / variances.sum()),
        df=float(true.sum() ** 2 / (true**2 / degrees).sum()),
    )


def _generator(seed: int, task: str, *sizes: int) -> np.random.Generator:
    name = int.from_bytes(hashlib.sha256(task.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence([seed, name, *sizes]))


def _draw_counts(generator: np.random.Generator, rows: int, units: int) -> Array:
    """Shape (rows, units): how often each unit is drawn when `units` are drawn with replacement."""
    drawn = generator.integers(0, units, size=(rows, units))
    drawn += np.arange(rows)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)


def _chunks(replicates: int, cells: int) -> Iterator[slice]:
    step = max(1, _CHUNK_CELLS // cells)
    return (slice(start, min(start + step, replicates)) for start in range(0, replicates, step))


def bootstrap_problems(means: Array, *, seed: int, task: str, replicates: int = REPLICATES) -> Array:
    """Means over problems drawn with replacement, each with all its samples and budgets.

    `means` has shape (P, K): K statistics per problem, each already a mean over its samples.
    Returns shape (R, K). The draw depends on (seed, task, P) alone.
    """
    problems, statistics = means.shape
    generator = _generator(seed, task, problems)
    result = np.empty((replicates, statistics))
    for rows in _chunks(replicates, problems):
        result[rows] = _draw_counts(generator, rows.stop - rows.start, problems) @ means / problems
    return result


def bootstrap_samples(values: Array, *, seed: int, task: str, replicates: int = REPLICATES) -> Array:
    """Means over fixed problems of samples drawn with replacement within each problem.

    Answers "this fixed benchmark, other draws of the model". `values` has shape (P, n, K); returns
    (R, K). The draw depends on (seed, task, P, n) alone.
    """
    problems, samples, statistics = values.shape
    generator = _generator(seed, task, problems, samples)
    flat = values.reshape(problems * samples, statistics)
    result = np.empty((replicates, statistics))
    for rows in _chunks(replicates, problems * samples):
        drawn = _draw_counts_within(generator, rows.stop - rows.start, problems, samples)
        result[rows] = drawn @ flat / len(flat)
    return result


def _draw_counts_within(generator: np.random.Generator, rows: int, problems: int, samples: int) -> Array:
    """Shape (rows, P n): each problem's samples drawn n times with replacement."""
    return _draw_counts(generator, rows * problems, samples).reshape(rows, problems * samples)


def interval(replicates: Array, expansion: Expansion, coverage: float = COVERAGE) -> tuple[Array, Array]:
    """Ends of the expanded percentile interval along the first axis: (R, ...) to (...), (...).

    Order statistics are taken as they are, without interpolation, so that an infinite replicate
    (a level that a curve never reaches) keeps its rank.
    """
    count = len(replicates)
    rank = min(int(expansion.tail(1 - coverage) * count), (count - 1) // 2)
    ranked = np.partition(replicates, (rank, count - 1 - rank), axis=0)
    return ranked[rank], ranked[count - 1 - rank]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A paired difference, candidate minus baseline, in the unit of what is compared."""

    value: float
    low: float
    """Lower end of the 95% interval."""
    high: float
    p_value: float
    """Two-sided, 0..1, from the same replicates as the interval: below 0.05 where that excludes 0."""
    standard_error: float
    detectable: float
    """Smallest true difference found with 80% power at 5%: 2.80 standard errors (definitions: Statistics)."""


def paired_difference(value: float, replicates: Array, expansion: Expansion) -> Difference:
    """The difference `value` with its interval and p-value from paired replicates of it, shape (R,)."""
    count = len(replicates)
    low, high = interval(replicates, expansion)
    beyond = 1 + min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    error = float(np.std(replicates)) * expansion.factor
    return Difference(
        value=value,
        low=float(low),
        high=float(high),
        p_value=expansion.p_value(beyond / (count + 1)),
        standard_error=error,
        detectable=detectable_difference(error),
    )


def detectable_difference(standard_error: float) -> float:
    """The smallest true difference that a two-sided 5% test finds with 80% power."""
    return _POWER_FACTOR * standard_error


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given; each 0..1."""
    count = len(p_values)
    adjusted = [0.0] * count
    worst = 0.0
    for position, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (count - position) * p_values[index]))
        adjusted[index] = worst
    return adjusted
