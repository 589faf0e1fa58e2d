"""What a bootstrap draws for one task: means over problems, and the frontier drawn with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from reghar.measures.bootstrap import (
    REPLICATES,
    Expansion,
    bootstrap_problems,
    bootstrap_samples,
    problem_expansion,
    sample_expansion,
    standard_normals,
)
from reghar.measures.catalogue import MEASURES, IntervalKind
from reghar.measures.clusters import Clusters
from reghar.measures.curves import problem_means
from reghar.measures.estimate import COVERAGE, FEW, Estimate, wilson
from reghar.measures.reference import Reference
from reghar.measures.reg import RESOLUTION

Array = NDArray[np.float64]

NOTED = 10
"""Below as many problems, or clusters of them, a note: an interval over so few says little."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Replicates of means over problems."""

    means: Array
    """Shape (R, K)."""
    frontier: Array | None
    """Shape (R, B): the frontier in each replicate; None without one, or where it cannot be drawn."""
    expansion: Expansion
    units: int
    """Problems, or the clusters of them that are drawn together."""
    drawn: IntervalKind

    def estimate(
        self, value: float, replicates: Array, *, share: bool = False, difference: bool = False
    ) -> Estimate:
        """A figure with its replicates, functions of `means`."""
        return Estimate(
            value=value,
            replicates=replicates,
            expansion=self.expansion,
            units=self.units,
            drawn=self.drawn,
            share=share,
            difference=difference,
        )

    def measure(self, name: str, value: float, replicates: Array) -> Estimate:
        """The same of a measure: shares are those in fractions, and the best accuracy of s1 in percent.

        Control is none: that of `force` is 100% by construction.
        """
        best = name == "performance"
        found = self.estimate(value, replicates, share=best or MEASURES[name][0] == "fraction")
        return replace(found, whole=100.0) if best else found

    def bands(self, accuracy: Array, curve: slice) -> tuple[Array, Array]:
        """Pointwise 95% intervals of a curve, (B,) each, from its columns of the draws."""
        columns = np.ascontiguousarray(self.means[:, curve].T)
        ends = [
            self.estimate(float(value), replicates, share=True).interval()
            for value, replicates in zip(accuracy, columns, strict=True)
        ]
        low, high = np.array(ends).T
        return low, high


@dataclass(frozen=True, kw_only=True)
class SupT:
    """How far a band reaches that holds a whole curve at once (sup-t).

    As many standard errors to each side as the largest deviation over all budgets reaches in 95% of the
    replicates; Montiel Olea and Plagborg-Moller, Journal of Applied Econometrics 34, 2019.
    """

    errors: Array
    """Shape (B,): standard errors, expanded; 0 where nothing moves."""
    level: float
    """Two-sided error of the interval at one budget whose quantile that is."""
    quantile: float
    """Standard errors to each side, by Student's t at that level."""

    @classmethod
    def of(cls, curves: Array, expansion: Expansion) -> SupT:
        """From replicates (R, B)."""
        spread = curves.std(axis=0)
        moving = spread > RESOLUTION
        level = 1 - COVERAGE
        if moving.any():
            deviations = np.abs(curves - curves.mean(axis=0))[:, moving] / spread[moving]
            level = 2 * float(ndtr(-np.quantile(deviations.max(axis=1), COVERAGE)))
        return cls(
            errors=np.where(moving, spread, 0.0) * expansion.factor,
            level=level,
            quantile=float(-stdtrit(expansion.df, level / 2)),
        )

    def around(self, values: Array) -> tuple[Array, Array]:
        """The band's ends, (B,) each."""
        return values - self.quantile * self.errors, values + self.quantile * self.errors


def simultaneous_bands(
    accuracy: Array, curves: Array, expansion: Expansion, units: int
) -> tuple[Array, Array]:
    """Bands that hold a whole curve of shares with 95% at once, (B,) each, from its replicates (R, B).

    See `SupT`; joined with Wilson's interval at that level.
    """
    reach = SupT.of(curves, expansion)
    low, high = reach.around(accuracy)
    shares = np.array(
        [
            wilson(float(value), float(error), units, 1 - reach.level)
            for value, error in zip(accuracy, reach.errors, strict=True)
        ]
    )
    low, high = np.minimum(low, shares[:, 0]), np.maximum(high, shares[:, 1])
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def drawn_values(
    values: Array,
    *,
    task: str,
    seed: int,
    replicates: int = REPLICATES,
    clusters: Clusters,
    sizes: Array | None = None,
) -> Draws:
    """Draws over problems of values (P, K), see `bootstrap_problems`; at least 2 clusters."""
    return Draws(
        means=bootstrap_problems(
            values, seed=seed, task=task, replicates=replicates, sizes=sizes, clusters=clusters
        ),
        frontier=None,
        expansion=problem_expansion(clusters.count),
        units=clusters.count,
        drawn="problems",
    )


def drawn_means(
    statistics: Array,
    stored: NDArray[np.bool_],
    kind: IntervalKind,
    *,
    task: str,
    seed: int,
    replicates: int,
    clusters: Clusters,
    reference: Reference | None = None,
) -> tuple[Draws | None, list[str]]:
    """Draws of statistics (P, n, K), of which `stored` (P, n) are there; None and a note if impossible.

    Within fixed problems, `kind` samples, clusters have no part.
    """
    if kind == "samples":
        return _drawn_samples(statistics, stored, task, seed, replicates, reference)
    clusters = clusters.kept(stored.any(axis=1))
    return _drawn_problems(statistics, stored, task, seed, replicates, reference, clusters)


def _drawn_problems(
    statistics: Array,
    stored: NDArray[np.bool_],
    task: str,
    seed: int,
    replicates: int,
    reference: Reference | None,
    clusters: Clusters,
) -> tuple[Draws | None, list[str]]:
    problems = int(stored.any(axis=1).sum())
    if clusters.count < 2:
        what = "problems" if problems < 2 else "problems of more than one cluster"
        return None, [f"no intervals: a bootstrap over {what} needs at least 2"]
    notes = _notes(problems, clusters.count)
    if stored.all():
        values, size = statistics.sum(axis=1), float(stored.shape[1])
    else:
        values, size = problem_means(statistics, stored), 1.0
    count = values.shape[1]
    rescaled = 1.0
    if reference is not None and reference.by_problem is not None:
        # Rights are counted, so that a frontier at its own budgets is drawn without a rounding error.
        rights = reference.by_problem * reference.samples
        nearest = np.round(rights)
        rights = np.where(np.abs(rights - nearest) < 1e-6, nearest, rights)
        values = np.concatenate([values, rights], axis=1)
        rescaled = size / reference.samples
    draws = drawn_values(
        values,
        task=task,
        seed=seed,
        replicates=replicates,
        clusters=clusters,
        sizes=np.full(problems, size),
    )
    frontier = draws.means[:, count:] * rescaled if values.shape[1] > count else None
    return replace(draws, means=draws.means[:, :count], frontier=frontier), notes


def _notes(problems: int, units: int) -> list[str]:
    """What a reader of intervals over so few problems, or clusters of them, has to know."""
    notes = []
    what = f"{units} problems"
    if units < problems:
        what = f"{units} clusters of problems"
        notes.append(f"intervals draw the {problems} problems in {units} clusters, as the task declares")
    if units < FEW:
        notes.append(
            f"only {what}: intervals over them are Student's t, and no difference can be established "
            f"below {FEW}"
        )
    elif units < NOTED:
        notes.append(f"only {what}: intervals over them say little")
    return notes


def _drawn_samples(
    statistics: Array,
    stored: NDArray[np.bool_],
    task: str,
    seed: int,
    replicates: int,
    reference: Reference | None,
) -> tuple[Draws | None, list[str]]:
    problems, samples = stored.shape
    if samples < 2:
        return None, ["no intervals: a bootstrap over samples needs at least 2 per problem"]
    if not stored.all():
        return None, ["no intervals: a bootstrap over samples needs a complete run"]
    expansion = sample_expansion(problems, samples)
    frontier = None
    if reference is not None:
        # One error for all budgets: fully correlated, so that the error of the area is the area of the
        # errors. It is no error of the run's samples, so their expansion is taken out again.
        normals = standard_normals(seed=seed, task=task, replicates=replicates) / expansion.factor
        frontier = reference.accuracy + normals[:, None] * reference.error
    return Draws(
        means=bootstrap_samples(statistics, seed=seed, task=task, replicates=replicates),
        frontier=frontier,
        expansion=expansion,
        units=problems,
        drawn="samples",
    ), []
