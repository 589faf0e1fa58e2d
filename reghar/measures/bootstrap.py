"""Seeded bootstrap over problems or over samples within them.

Replicates come first, as arrays of shape (R, ...); `reghar.measures.estimate` makes intervals of them.
One draw of indices belongs to (seed, task, number of problems): two models on the same problems get the
same draw, so that differences of their replicates are paired.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from reghar.measures.clusters import Clusters

Array = NDArray[np.float64]

REPLICATES = 10_000
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

    def tail(self, one_sided: float) -> float:
        """The percentile level beyond which an end of one-sided error `one_sided` (0..0.5) stands."""
        return float(ndtr(self.factor * stdtrit(self.df, one_sided)))

    def one_sided(self, tail: float) -> float:
        """The one-sided p-value where the share `tail` of the replicates lies beyond; inverts `tail`."""
        return float(stdtr(self.df, ndtri(tail) / self.factor))


def problem_expansion(problems: int) -> Expansion:
    """The correction for a bootstrap over `problems` whole problems, or clusters of them (at least 2)."""
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


def standard_normals(*, seed: int, task: str, replicates: int = REPLICATES) -> Array:
    """Shape (R,): one standard error's worth of an error that is not drawn from the run itself."""
    name = int.from_bytes(hashlib.sha256(f"{task}\0normal".encode()).digest()[:8], "big")
    ranks = np.random.default_rng(np.random.SeedSequence([seed, name])).permutation(replicates)
    # Every quantile once, in a drawn order: its mean is 0 and its spread that of the normal law.
    normals: Array = ndtri((ranks + 0.5) / replicates)
    return normals


def _draw_counts(generator: np.random.Generator, rows: int, units: int) -> Array:
    """Shape (rows, units): how often each unit is drawn when `units` are drawn with replacement."""
    drawn = generator.integers(0, units, size=(rows, units))
    drawn += np.arange(rows)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)


def _chunks(replicates: int, cells: int) -> Iterator[slice]:
    step = max(1, _CHUNK_CELLS // cells)
    return (slice(start, min(start + step, replicates)) for start in range(0, replicates, step))


def bootstrap_problems(
    values: Array,
    *,
    seed: int,
    task: str,
    replicates: int = REPLICATES,
    sizes: Array | None = None,
    clusters: Clusters | None = None,
) -> Array:
    """Means over problems drawn with replacement, each with all its samples and budgets.

    `values` has shape (P, K): K statistics per problem, a mean over its samples, or the sum over
    `sizes` (P,) of them. Sums of whole numbers give the same bits in any order, on any machine.
    Problems of one of the C `clusters` are drawn together; without them each stands alone, and C is P.
    Returns shape (R, K). The draw depends on (seed, task, C) alone.
    """
    if sizes is None:
        sizes = np.ones(len(values))
    if clusters is not None:
        values, sizes = clusters.sums(values), clusters.sums(sizes)
    units, statistics = values.shape
    generator = _generator(seed, task, units)
    result = np.empty((replicates, statistics))
    for rows in _chunks(replicates, units):
        drawn = _draw_counts(generator, rows.stop - rows.start, units)
        result[rows] = (drawn @ values) / (drawn @ sizes)[:, None]
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
