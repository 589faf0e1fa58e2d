"""Paired differences: two sides on the same problems, drawn together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reghar.measures.bootstrap import Expansion, mean_expansion, standard_normals
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
    replicates, expansion = _subtracted(ours, theirs)
    differences = one.of_problem[name] - other.of_problem[name]
    same = all(np.array_equal(one.of_problem[k], other.of_problem[k], equal_nan=True) for k in one.of_problem)
    if ours.share and not same:
        # Where two runs happen to agree on every trace, the next trace may still tell them apart.
        trace = 1 / (one.curve.problems * min(one.curve.samples, other.curve.samples))
        seed = len(replicates)
        normals = standard_normals(seed=seed, task=one.task, replicates=len(replicates))
        replicates = replicates + trace * normals
    few = ours.drawn == "problems" and ours.units < FEW
    return Estimate(
        value=ours.value - theirs.value,
        replicates=replicates,
        expansion=expansion,
        units=ours.units,
        drawn=ours.drawn,
        difference=True,
        flips=sign_flips(differences, one.clusters) if few else None,
    )


def _subtracted(ours: Estimate, theirs: Estimate) -> tuple[Array, Expansion]:
    """Replicates of the difference. Two numbers of samples have two expansions: each side takes its own."""
    if ours.expansion == theirs.expansion:
        return ours.replicates - theirs.replicates, ours.expansion
    sides = [ours, theirs]
    wide = [(one.replicates - one.value) * one.expansion.factor for one in sides]
    unit = [Expansion(factor=1.0, df=one.expansion.df) for one in sides]
    joint = mean_expansion(wide, unit)
    return ours.value - theirs.value + wide[0] - wide[1], joint
