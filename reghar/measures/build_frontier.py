"""Runs to a frontier: at each budget the best of them (REG definition 4.1).

The maximum of noisy curves is biased upward. The cross-fitted estimate beside it is not: the winner
is chosen on one half of the problems and read on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.frontiers.frontier import Frontier, FrontierProtocol, FrontierSource, TaskFrontier, points_sha256
from reghar.measures.catalogue import rounded
from reghar.measures.clusters import Clusters
from reghar.measures.curves import curve_of, problem_means, stored_traces
from reghar.measures.draws import drawn_values
from reghar.protocol import Protocol
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

_SPLITS = 200
"""Random halvings of the problems that the cross-fitted estimate is averaged over."""


@dataclass(frozen=True, kw_only=True)
class RunOutcomes:
    """A run as far as a frontier needs it."""

    name: str
    """What the frontier file calls it as a winner."""
    model: str
    digest: str
    """Of the protocol."""
    protocol: Protocol
    outcomes: dict[str, TaskOutcomes]


def build(runs: Sequence[RunOutcomes], *, base_model: str, source: FrontierSource, seed: int = 0) -> Frontier:
    """The frontier of the runs: maximum, winner, its interval, and the cross-fitted estimate.

    Raises InputError without runs, for two of one name, for unequal protocols (naming every setting
    that differs) and for incomplete runs.
    """
    if not runs:
        raise InputError("a frontier needs at least one run: name the folders of finished runs")
    first = runs[0]
    for run in runs[1:]:
        if run.digest != first.digest:
            unequal = "; ".join(first.protocol.differences(run.protocol)) or "their digests"
            raise InputError(f"{first.name} and {run.name} have unequal protocols: {unequal}")
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two runs are called {name!r}: give each run once, under its own name")
    tasks = {
        task: _task_frontier(names, [run.outcomes[task] for run in runs], seed) for task in first.outcomes
    }
    return Frontier(
        base_model=base_model,
        protocol=FrontierProtocol(digest=first.digest, settings=first.protocol),
        source=source,
        sha256=points_sha256(tasks),
        tasks=tasks,
    )


def _task_frontier(names: Sequence[str], runs: Sequence[TaskOutcomes], seed: int) -> TaskFrontier:
    for name, run in zip(names, runs, strict=True):
        if run.problems != runs[0].problems or not np.array_equal(run.budgets, runs[0].budgets):
            raise InputError(f"{name} has other problems or budgets of {run.task} than {names[0]}")
    curves = [curve_of(run) for run in runs]
    means = np.stack([problem_means(run.correct, stored_traces(run)) for run in runs])
    accuracy = np.stack([curve.accuracy for curve in curves])
    best = accuracy.argmax(axis=0)
    columns = np.arange(best.size)
    problems, clusters = curves[0].problems, Clusters.of(runs[0])
    winners = means[best, :, columns].T
    low = high = None
    if clusters.count > 1:
        # The winner's own interval; the maximum's would carry the bias of the maximum.
        draws = drawn_values(winners, seed=seed, task=runs[0].task, clusters=clusters)
        low, high = draws.bands(accuracy[best, columns], slice(None))
    return TaskFrontier(
        budgets=tuple(runs[0].budgets.tolist()),
        accuracy=_fractions(accuracy[best, columns]),
        samples=curves[0].samples,
        problems=problems,
        winner=tuple(names[run] for run in best),
        low=None if low is None else _fractions(low),
        high=None if high is None else _fractions(high),
        cross_fitted=_fractions(cross_fitted(means, clusters, seed=seed)) if clusters.count > 1 else None,
        problem_ids=runs[0].problems,
        problem_accuracy=tuple(_fractions(row) for row in winners),
    )


def cross_fitted(
    means: Array, clusters: Clusters | None = None, *, seed: int = 0, splits: int = _SPLITS
) -> Array:
    """The maximum over runs without its bias: shape (runs, P, B) of means per problem to (B,).

    On each of `splits` random halvings of the problems (of their clusters, so that no half knows of the
    other) the best run of one half is read on the other, and the other way round. Never above the plain
    maximum. Needs at least 2 problems, or clusters.
    """
    _, problems, budgets = means.shape
    clusters = clusters or Clusters.alone(problems)
    sums = np.stack([clusters.sums(run) for run in means])
    generator = np.random.default_rng(seed)
    columns = np.arange(budgets)
    total = np.zeros(budgets)
    for _ in range(splits):
        order = generator.permutation(clusters.count)
        half = clusters.count // 2
        one = sums[:, order[:half]].sum(axis=1)
        other = sums[:, order[half:]].sum(axis=1)
        total += other[one.argmax(axis=0), columns] + one[other.argmax(axis=0), columns]
    mean: Array = total / (splits * problems)
    return mean


def _fractions(values: Array) -> tuple[float, ...]:
    """Sums of floats may pass 1 by a rounding error; the digits beyond 12 are such errors as well."""
    return tuple(rounded(value) for value in np.clip(values, 0.0, 1.0).tolist())
