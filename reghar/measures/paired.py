"""Paired differences: two sides on the same problems, drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reghar.measures.bootstrap import Expansion, mean_expansion, standard_normals
from reghar.measures.draws import SupT
from reghar.measures.estimate import FEW, Difference, Estimate, mean_estimate, sign_flips
from reghar.measures.task import TaskMeasures

Array = NDArray[np.float64]


def difference(
    name: str, candidate: Sequence[TaskMeasures], baseline: Sequence[TaskMeasures]
) -> Difference | None:
    """The paired difference, candidate minus baseline, of one measure, averaged over tasks.

    Both hold the same tasks in the same order, measured on the same problems with the same seed. None
    where one side has no value or no replicates. Raises ValueError for other problems.
    """
    found = [_of_task(name, one, other) for one, other in zip(candidate, baseline, strict=True)]
    known = [one for one in found if one is not None]
    return Difference.of(mean_estimate(known)) if known and len(known) == len(found) else None


def _of_task(name: str, one: TaskMeasures, other: TaskMeasures) -> Estimate | None:
    if (one.task, one.problems) != (other.task, other.problems):
        raise ValueError(f"{one.task} and {other.task} were not measured on the same problems")
    ours, theirs = one.estimates.get(name), other.estimates.get(name)
    if ours is None or theirs is None or len(ours.replicates) != len(theirs.replicates):
        return None
    if not (np.isfinite(ours.replicates).all() and np.isfinite(theirs.replicates).all()):
        return None
    found = _paired(ours, theirs, one, other)
    if ours.drawn != "problems" or ours.units >= FEW:
        return found
    return replace(found, flips=sign_flips(one.of_problem[name] - other.of_problem[name], one.clusters))


def _paired(ours: Estimate, theirs: Estimate, one: TaskMeasures, other: TaskMeasures) -> Estimate:
    """ours - theirs, drawn together."""
    replicates, expansion = _subtracted(ours, theirs)
    same = all(np.array_equal(one.of_problem[k], other.of_problem[k], equal_nan=True) for k in one.of_problem)
    if ours.share and not same:
        # Where two runs happen to agree on every trace, the next trace may still tell them apart.
        trace = 1 / (one.curve.problems * min(one.curve.samples, other.curve.samples))
        seed = len(replicates)
        normals = standard_normals(seed=seed, task=one.task, replicates=len(replicates))
        replicates = replicates + trace * normals
    return Estimate(
        value=ours.value - theirs.value,
        replicates=replicates,
        expansion=expansion,
        units=ours.units,
        drawn=ours.drawn,
        difference=True,
    )


@dataclass(frozen=True, kw_only=True)
class CurveDifference:
    """One curve minus another, budget by budget."""

    budgets: NDArray[np.int64]
    """Shape (B,), tokens."""
    values: Array
    """Shape (B,): difference of accuracies, -1..1."""
    interval: tuple[Array, Array]
    """Ends (B,) of the 95% interval of each point."""
    band: tuple[Array, Array]
    """Ends (B,) of the band that holds the whole difference with 95% at once."""


def curve_difference(
    candidate: Sequence[TaskMeasures], baseline: Sequence[TaskMeasures]
) -> CurveDifference | None:
    """The paired difference of two curves, candidate minus baseline, averaged over tasks.

    As for `difference`. None on unequal grids, without draws, and of fewer than `FEW` problems, where no
    difference is ever established.
    """
    pairs = list(zip(candidate, baseline, strict=True))
    budgets = candidate[0].curve.budgets
    if not all(np.array_equal(side.curve.budgets, budgets) for pair in pairs for side in pair):
        return None
    points = [_points(one, other) for one, other in pairs]
    if not all(points):
        return None
    estimates = [mean_estimate(column) for column in zip(*points, strict=True)]
    values = np.array([one.value for one in estimates])
    curves = np.stack([one.replicates for one in estimates], axis=1)
    # The band has the correction of its widest point: those of all points differ only where sides do.
    widest = estimates[int(curves.std(axis=0).argmax())]
    low, high = np.array([one.interval() for one in estimates]).T
    under, over = SupT.of(curves, widest.expansion).around(values)
    return CurveDifference(
        budgets=budgets,
        values=values,
        interval=(low, high),
        band=(np.minimum(under, low), np.maximum(over, high)),
    )


def _points(one: TaskMeasures, other: TaskMeasures) -> list[Estimate]:
    """The difference at every budget; empty where there is none."""
    if (one.task, one.problems) != (other.task, other.problems):
        raise ValueError(f"{one.task} and {other.task} were not measured on the same problems")
    sides = [side.curves for side in (one, other)]
    if sides[0] is None or sides[1] is None or sides[0].drawn != sides[1].drawn:
        return []
    if sides[0].drawn == "problems" and min(sides[0].units, sides[1].units) < FEW:
        return []
    ours, theirs = (
        [
            draws.estimate(float(value), column, share=True)
            for value, column in zip(side.curve.accuracy, draws.means.T, strict=True)
        ]
        for side, draws in zip((one, other), (sides[0], sides[1]), strict=True)
    )
    return [_paired(mine, base, one, other) for mine, base in zip(ours, theirs, strict=True)]


def _subtracted(ours: Estimate, theirs: Estimate) -> tuple[Array, Expansion]:
    """Replicates of the difference. Two numbers of samples have two expansions: each side takes its own."""
    if ours.expansion == theirs.expansion:
        return ours.replicates - theirs.replicates, ours.expansion
    sides = [ours, theirs]
    wide = [(one.replicates - one.value) * one.expansion.factor for one in sides]
    unit = [Expansion(factor=1.0, df=one.expansion.df) for one in sides]
    joint = mean_expansion(wide, unit)
    return ours.value - theirs.value + wide[0] - wide[1], joint
