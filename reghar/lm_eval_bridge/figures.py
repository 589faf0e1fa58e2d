"""A stored run's figures as lm-eval names them, with standard errors from our bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.frontiers.choose import choose_frontier
from reghar.frontiers.frontier import TaskFrontier
from reghar.measures.catalogue import MEASURES, IntervalKind, rounded
from reghar.measures.clusters import Clusters
from reghar.measures.task import TaskMeasures, task_measures
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

SHOWN_MEASURES = (
    "reg",
    "reg_up_to_1024",
    "accuracy_full",
    "accuracy_at_l_max",
    "mean_length",
    "mean_length_correct",
    "share_unfinished",
    "control",
    "scaling",
    "performance",
)
"""Measures that lm-eval gets beside `acc@L`, under the names of `report.json`."""


@dataclass(frozen=True, kw_only=True)
class TaskFigure:
    """One number of one task."""

    value: float | None
    """As in `report.json`, digit for digit; None where the measure does not exist."""
    standard_error: float | None
    """Same unit; None where there is no interval."""
    higher_is_better: bool | None
    """None where neither direction is better."""


@dataclass(frozen=True, kw_only=True)
class TaskFigures:
    """One model on one task: `acc@L` for every budget, and the measures of `SHOWN_MEASURES` that it has."""

    task: str
    """Without prefix."""
    total: dict[str, TaskFigure]
    of_problem: tuple[dict[str, float | None], ...]
    """The same names for each problem alone, in the task's order: what the sample files show."""


def run_figures(run: StoredRun) -> dict[str, TaskFigures]:
    """Every task's figures, against the frontier and with the interval that the run was started with.

    Raises `InputError` for an incomplete run (definitions: The curve).
    """
    kind = run.manifest.interval
    reference = choose_frontier(run.manifest.frontier, model=run.model, protocol=run.protocol)
    return {task: _task_figures(run.outcomes(task), reference.tasks.get(task), kind) for task in run.tasks}


def _task_figures(
    outcomes: TaskOutcomes, frontier: TaskFrontier | None, interval: IntervalKind
) -> TaskFigures:
    if not outcomes.complete:
        raise InputError(f"the run of task {outcomes.task} is incomplete: go on with it (--resume) first")
    measures = task_measures(outcomes, frontier, interval=interval)
    names = [f"acc@{budget}" for budget in measures.curve.budgets]
    accuracy = np.clip(measures.curve.accuracy, 0.0, 1.0)
    errors = _accuracy_errors(outcomes, interval)
    total = {
        name: TaskFigure(value=rounded(float(value)), standard_error=error, higher_is_better=True)
        for name, value, error in zip(names, accuracy, errors, strict=True)
    }
    total |= {
        one.name: TaskFigure(
            value=one.value,
            standard_error=_standard_error(measures, one.name),
            higher_is_better=MEASURES[one.name][1],
        )
        for one in measures.measures
        if one.name in SHOWN_MEASURES
    }
    return TaskFigures(
        task=outcomes.task, total=total, of_problem=_problem_figures(outcomes, measures, names)
    )


def _problem_figures(
    outcomes: TaskOutcomes, measures: TaskMeasures, names: Sequence[str]
) -> tuple[dict[str, float | None], ...]:
    """Each problem's own curve and measures; REG is their mean, Control and Scaling are not."""
    means = outcomes.correct.mean(axis=1)
    shown = {
        one.name: measures.of_problem[one.name] for one in measures.measures if one.name in SHOWN_MEASURES
    }
    by_name = dict(zip(names, means.T, strict=True)) | shown
    return tuple(
        {name: _finite(float(values[place])) for name, values in by_name.items()}
        for place in range(len(outcomes.problems))
    )


def _standard_error(measures: TaskMeasures, name: str) -> float | None:
    """Standard deviation of the bootstrap replicates, corrected for few problems as the intervals are.

    Replicates in which the measure does not exist are left out; one that is infinite leaves no error.
    """
    estimate = measures.estimates.get(name)
    if estimate is None or not np.isfinite(estimate.standard_error):
        return None
    return estimate.standard_error


def _accuracy_errors(outcomes: TaskOutcomes, interval: IntervalKind) -> list[float | None]:
    """Of every budget's accuracy: the bootstrap's own limit, in closed form."""
    correct, clusters = outcomes.correct, Clusters.of(outcomes)
    problems, samples, budgets = correct.shape
    if interval == "problems" and clusters.count > 1:
        errors = np.sqrt(clusters.variance(correct.mean(axis=1)))
    elif interval == "samples" and samples > 1:
        errors = np.sqrt(correct.var(axis=1, ddof=1).mean(axis=0) / (problems * samples))
    else:
        return [None] * budgets
    return [float(error) for error in errors]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
