"""How many problems and samples to buy: the noise of a figure split in two, and what a design would find.

A problem's mean over n samples spreads by the variance between problems, and by the variance within
them over n. Both are estimated by the method of moments (negative estimates are 0), as in a one-way
random-effects analysis (Searle, Casella and McCulloch, "Variance Components", 1992, section 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.measures.clusters import Clusters
from reghar.measures.estimate import FEW, detectable_difference
from reghar.measures.reg import area
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

LINEAR = {
    "accuracy_full": "fraction",
    "accuracy_at_l_max": "fraction",
    "mean_length": "tokens",
    "area": "tokens",
}
"""Measures that are means over traces, with their units; a difference of REG is one of `area`."""
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
"""Samples per problem that a plan chooses from."""
_MOST_PROBLEMS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Components:
    """The two variances behind a figure, or behind a paired difference of two."""

    between: float
    """Between problems, in squared units, at least 0; where they come in clusters, so much larger that the
    mean over P problems has the variance `between` / P."""
    within: float
    """Between samples of one problem (of a difference: of both runs, added), at least 0."""
    per_cluster: float = 1.0
    """Problems that are drawn together, on average; 1 where each stands alone."""

    def standard_error(self, problems: int, samples: int) -> float:
        """Of the mean over as many problems like these, each with as many samples."""
        return math.sqrt((self.between + self.within / samples) / problems)

    def detectable(self, problems: int, samples: int) -> float:
        """The smallest true difference that a two-sided 5% test finds with 80% power; needs 2 problems, or
        clusters."""
        return detectable_difference(self.standard_error(problems, samples), problems / self.per_cluster - 1)


@dataclass(frozen=True, kw_only=True)
class Design:
    """So many problems, each with so many samples."""

    problems: int
    samples: int
    standard_error: float
    detectable: float


def contributions(outcomes: TaskOutcomes, measure: str) -> Array:
    """What each trace gives to a measure of `LINEAR`, shape (P, n). Raises InputError for another one."""
    if measure not in LINEAR:
        raise InputError(f"{measure!r} is no mean over traces: choose among {', '.join(LINEAR)}")
    if measure == "accuracy_full":
        return outcomes.full_correct
    if measure == "accuracy_at_l_max":
        return outcomes.correct[..., -1]
    if measure == "mean_length":
        return outcomes.length.astype(np.float64)
    return area(outcomes.budgets, outcomes.correct)


def components(
    values: Array, baseline: Array | None = None, *, clusters: Clusters | None = None
) -> Components:
    """Of values (P, n), or of their paired difference from a baseline (P, m) on the same problems.

    Designs keep the size of the `clusters`. Raises InputError for fewer than 2 problems (or clusters) or
    samples: then there is nothing to split.
    """
    problems = len(values)
    clusters = clusters or Clusters.alone(problems)
    sides = [values] if baseline is None else [values, baseline]
    for side in sides:
        if min(side.shape) < 2:
            raise InputError(
                f"{side.shape[0]} problems with {side.shape[1]} samples each show no spread to plan with: "
                "2 of both are the least"
            )
    if clusters.count < 2:
        raise InputError(f"all {problems} problems are of one cluster: 2 are the least to plan with")
    within = [float(side.var(axis=1, ddof=1).mean()) for side in sides]
    means = values.mean(axis=1) - (0.0 if baseline is None else baseline.mean(axis=1))
    noise = sum(one / side.shape[1] for one, side in zip(within, sides, strict=True))
    spread = problems * float(clusters.variance(means))
    return Components(
        between=max(0.0, spread - noise), within=sum(within), per_cluster=problems / clusters.count
    )


def designs(found: Components, problems: int) -> Iterator[Design]:
    """The same problems with every number of `SAMPLES`."""
    for samples in SAMPLES:
        yield _design(found, problems, samples)


def cheapest(found: Components, detect: float) -> Design | None:
    """The design with the fewest traces that detects so much; with most problems of several such.

    None where more than a million problems would be needed with every number of samples.
    """
    known = [
        design
        for samples in SAMPLES
        if (problems := _fewest_problems(found, samples, detect)) is not None
        for design in [_design(found, problems, samples)]
    ]
    return min(known, key=lambda one: (one.problems * one.samples, -one.problems), default=None)


def _design(found: Components, problems: int, samples: int) -> Design:
    return Design(
        problems=problems,
        samples=samples,
        standard_error=found.standard_error(problems, samples),
        detectable=found.detectable(problems, samples),
    )


def _fewest_problems(found: Components, samples: int, detect: float) -> int | None:
    """By bisection: more problems always detect less."""
    low, high = math.ceil(FEW * found.per_cluster), _MOST_PROBLEMS
    if found.detectable(high, samples) > detect:
        return None
    while low < high:
        middle = (low + high) // 2
        if found.detectable(middle, samples) <= detect:
            high = middle
        else:
            low = middle + 1
    return low
