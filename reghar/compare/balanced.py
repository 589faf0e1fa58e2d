"""Length where everyone is right: REG table 2.

A model that solves only the easy problems looks brief; on the problems that every side solves, only
brevity differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reghar.compare.cell import Cell
from reghar.compare.measured import Bootstrap
from reghar.errors import InputError
from reghar.measures.catalogue import rounded
from reghar.measures.clusters import Clusters
from reghar.measures.draws import drawn_values
from reghar.measures.estimate import FEW, Difference, sign_flips
from reghar.measures.reg import change
from reghar.store.outcomes import TaskOutcomes

BALANCED_LENGTH = "balanced_length"
"""Mean over the balanced problems of the mean length of correct responses, tokens."""


def solved(outcomes: Sequence[TaskOutcomes], threshold: float) -> NDArray[np.bool_]:
    """Shape (P,): problems that every side solves, at full length, with more than `threshold` accuracy."""
    accuracy = [one.full_correct.mean(axis=1) for one in outcomes]
    everyone: NDArray[np.bool_] = np.all([one > threshold for one in accuracy], axis=0)
    return everyone


def correct_lengths(outcomes: TaskOutcomes) -> NDArray[np.float64]:
    """Shape (P,): mean length of each problem's correct responses, tokens; NaN where none is correct."""
    correct = outcomes.full_correct
    count = correct.sum(axis=1)
    total = (outcomes.length * correct).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def balanced_cells(
    outcomes: Mapping[str, Sequence[TaskOutcomes]],
    baseline: str,
    *,
    threshold: float,
    draw: Bootstrap,
    average: str,
) -> tuple[list[Cell], list[str]]:
    """One cell per task and side, all problems pooled where there are several tasks (REG table 2), and notes.

    `outcomes` by side, task by task, on equal problems; `threshold` in [0, 1). Intervals always draw
    whole problems from the balanced ones, which are taken as given. Raises InputError for a threshold
    outside that range.
    """
    if not 0 <= threshold < 1:
        raise InputError(f"--balanced {threshold:g}: give an accuracy from 0 to below 1, such as 0.5")
    cells: list[Cell] = []
    notes = []
    lengths: dict[str, dict[str, NDArray[np.float64]]] = {side: {} for side in outcomes}
    clusters: dict[str, Clusters] = {}
    for of_task in zip(*outcomes.values(), strict=True):
        task, kept = of_task[0].task, solved(of_task, threshold)
        notes.append(
            f"{task}: {int(kept.sum())} of {kept.size} problems are solved by every side with more than "
            f"{100 * threshold:g}% accuracy"
        )
        if kept.any():
            clusters[task] = Clusters.of(of_task[0]).kept(kept)
            for side, one in zip(outcomes, of_task, strict=True):
                lengths[side][task] = correct_lengths(one)[kept]
    tasks = list(lengths[baseline])
    if not tasks:
        return [], [*notes, "no balanced lengths: no problem is solved by every side"]
    for task in tasks:
        cells += [_cell(task, side, [task], lengths, baseline, draw, clusters) for side in lengths]
    if len(tasks) > 1:
        means = {side: np.mean([one.mean() for one in by_task.values()]) for side, by_task in lengths.items()}
        plain = ", ".join(f"{side} {mean:,.1f}" for side, mean in means.items())
        notes.append(
            "the average of balanced lengths pools the problems of all tasks; the means of the tasks' "
            f"means are {plain}"
        )
        cells += [_cell(average, side, tasks, lengths, baseline, draw, clusters) for side in lengths]
    return cells, notes


def _cell(
    name: str,
    side: str,
    tasks: Sequence[str],
    lengths: Mapping[str, Mapping[str, NDArray[np.float64]]],
    baseline: str,
    draw: Bootstrap,
    clusters: Mapping[str, Clusters],
) -> Cell:
    pooled, against = (np.concatenate([lengths[one][task] for task in tasks]) for one in (side, baseline))
    value, base = float(pooled.mean()), float(against.mean())
    return Cell(
        task=name,
        side=side,
        measure=BALANCED_LENGTH,
        unit="tokens",
        higher_is_better=False,
        value=rounded(value),
        change=change(value, base).relative if side != baseline else None,
        difference=None
        if side == baseline
        else _difference(pooled - against, name, draw, Clusters.side_by_side([clusters[t] for t in tasks])),
    )


def _difference(
    differences: NDArray[np.float64], name: str, draw: Bootstrap, clusters: Clusters
) -> Difference | None:
    """Problems of all tasks are drawn from one pool."""
    if clusters.count < 2:
        return None
    draws = drawn_values(
        differences[:, None], seed=draw.seed, task=name, replicates=draw.replicates, clusters=clusters
    )
    estimate = draws.estimate(float(differences.mean()), draws.means[:, 0], difference=True)
    if clusters.count < FEW:
        estimate = replace(estimate, flips=sign_flips(differences, clusters))
    return Difference.of(estimate)
