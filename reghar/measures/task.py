"""A task's outcomes and its frontier to the named measures that reports show and checks compare.

Every measure is a function of means over problems, so that a bootstrap replicate is the same
function of resampled means: see `reghar.measures.estimates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.frontiers.frontier import TaskFrontier
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures import reg
from reghar.measures.bootstrap import REPLICATES, mean_expansion
from reghar.measures.catalogue import MEASURES, IntervalKind, Measure
from reghar.measures.clusters import Clusters
from reghar.measures.curves import Curve, curve_of, mean_over_problems, problem_means, stored_traces
from reghar.measures.draws import Draws, drawn_means, simultaneous_bands
from reghar.measures.estimate import Estimate, mean_estimate
from reghar.measures.estimates import Columns, figures_of, gap_figures
from reghar.measures.reference import Reference
from reghar.measures.reg import RegResult
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TaskMeasures:
    """Everything that a report shows of one model on one task."""

    task: str
    curve: Curve
    low: Array | None
    """Shape (B,): lower ends of the curve's 95% intervals; None where there are no intervals."""
    high: Array | None
    band: tuple[Array, Array] | None
    """Ends (B,) of the bands that hold the whole curve with 95%; None where there are no intervals."""
    curves: Draws | None
    """The curve's draws, means of shape (R, B)."""
    frontier: Array | None
    """Shape (B,): the frontier's accuracy at the curve's budgets; None without a frontier."""
    frontier_error: float | None
    """Standard error of the area under it, tokens, where it is added to the run's own; else None."""
    outcomes: dict[str, list[int]]
    """Outcome name to its count at each budget, lists of length B."""
    full_outcomes: dict[str, int]
    """Outcome name to its count over the whole traces' own answers."""
    measures: tuple[Measure, ...]
    """In the order of `MEASURES`; those of REG only with a frontier."""
    reg: RegResult | None
    estimates: Mapping[str, Estimate]
    """Measure name to its sampling error; empty where there are no intervals."""
    of_problem: Mapping[str, Array]
    """Measure name to what each problem alone gives, shape (P,); their mean where the measure is linear."""
    clusters: Clusters
    """Of these problems."""
    problems: tuple[str, ...]
    """Ids of the problems that the measures are taken over, in the task's order."""
    notes: tuple[str, ...]

    def measure(self, name: str) -> Measure:
        """The measure called `name`; KeyError where there is none."""
        return {measure.name: measure for measure in self.measures}[name]

    def has(self, name: str) -> bool:
        """Whether there is a measure called `name`."""
        return any(measure.name == name for measure in self.measures)


def task_measures(
    outcomes: TaskOutcomes,
    frontier: TaskFrontier | None,
    *,
    interval: IntervalKind = "problems",
    seed: int = 0,
    replicates: int = REPLICATES,
) -> TaskMeasures:
    """The curve, its intervals, outcome counts and all measures of one task.

    `interval` says what the bootstrap draws: whole `problems`, or `samples` within fixed problems. What
    subtracts a frontier of which only task means are known is drawn over samples in both cases. An
    incomplete run is measured on the traces it holds, and a note says so. Raises InputError where
    nothing is stored, or a budget lies outside the frontier's, or a setting is no budget.
    """
    stored = stored_traces(outcomes)
    curve = curve_of(outcomes, partial=True)
    columns = Columns.of(outcomes)
    statistics = columns.statistics(outcomes)
    means = problem_means(statistics, stored)
    problems = tuple(np.array(outcomes.problems, dtype=object)[stored.any(axis=1)].tolist())
    reference = None
    if frontier is not None:
        reference = Reference.of(curve, frontier, problems, means[:, columns.curve])

    mean = mean_over_problems(statistics, stored)
    point = _figures(columns, mean, reference, None if reference is None else reference.accuracy)
    clusters = Clusters.of(outcomes)
    options: dict[str, Any] = {
        "task": outcomes.task,
        "seed": seed,
        "replicates": replicates,
        "clusters": clusters,
    }
    draws, notes = drawn_means(statistics, stored, interval, reference=reference, **options)
    gaps = draws
    if reference is not None and reference.by_problem is None and interval == "problems":
        curves = statistics[..., columns.curve]
        gaps, told = drawn_means(curves, stored, "samples", reference=reference, **options)
        notes += [note.replace("no intervals", "no interval of REG") for note in told if note not in notes]
    estimates = _estimates(columns, point, draws, gaps, reference)
    if not curve.complete:
        held = int(stored.sum())
        notes.insert(0, f"incomplete: measured on the {held} of {stored.size} traces that are finished")
    measures = [_measure(name, float(point[name]), estimates.get(name)) for name in MEASURES if name in point]
    gap = None
    if frontier is not None and reference is not None and curve.budgets.size > 1:
        gap = reg.reg(curve.budgets, curve.accuracy, frontier.budgets, frontier.accuracy)
        reading = reg.wasted_tokens(curve.budgets, curve.accuracy, reference.accuracy)
        measures.append(Measure.of("wasted_tokens_reading", np.nan if reading is None else reading))
        notes.extend(gap.notes)
        if reading is None:
            notes.append("no reading as wasted tokens: the curve or the frontier falls somewhere")
    notes.extend(columns.notes(curve, frontier))
    full = {name: counts[0] for name, counts in _counts(outcomes.full[..., None]).items()}
    notes.extend(_unboxed(full))
    order = {name: position for position, name in enumerate(MEASURES)}
    low, high = (None, None) if draws is None else draws.bands(curve.accuracy, columns.curve)
    drawn_curves = None
    if draws is not None:
        drawn_curves = replace(draws, means=draws.means[:, columns.curve], frontier=None)
    best = None if reference is None else reference.accuracy
    if reference is not None and reference.by_problem is not None:
        best = reference.by_problem
    return TaskMeasures(
        task=outcomes.task,
        curve=curve,
        low=low,
        high=high,
        band=None if drawn_curves is None else _band([curve.accuracy], [drawn_curves]),
        curves=drawn_curves,
        frontier=None if reference is None else reference.accuracy,
        frontier_error=_frontier_error(curve, reference, gaps),
        outcomes=_counts(outcomes.outcome),
        full_outcomes=full,
        measures=tuple(sorted(measures, key=lambda measure: order[measure.name])),
        reg=gap,
        estimates=estimates,
        of_problem=_figures(columns, means, reference, best),
        clusters=clusters.kept(stored.any(axis=1)),
        problems=problems,
        notes=tuple(notes),
    )


def average_measures(tasks: Sequence[TaskMeasures]) -> list[Measure]:
    """The plain mean over tasks of every measure that all of them have (REG table 1, "Average").

    A measure without a value on one task has none on average. The interval comes from the tasks' own
    replicates, which are independent draws.
    """
    return [_average(name, tasks) for name in MEASURES if all(task.has(name) for task in tasks)]


def average_band(tasks: Sequence[TaskMeasures]) -> tuple[Array, Array] | None:
    """Bands of the task-averaged curve, all tasks on one grid; None where a task has none."""
    draws = [task.curves for task in tasks if task.curves is not None]
    return _band([task.curve.accuracy for task in tasks], draws) if len(draws) == len(tasks) else None


def _band(accuracy: Sequence[Array], draws: Sequence[Draws]) -> tuple[Array, Array]:
    curves = [one.means for one in draws]
    return simultaneous_bands(
        np.mean(accuracy, axis=0),
        np.mean(curves, axis=0),
        mean_expansion(curves, [one.expansion for one in draws]),
        min(one.units for one in draws),
    )


def estimate_of(name: str, tasks: Sequence[TaskMeasures]) -> Estimate | None:
    """A measure with its sampling error, averaged over tasks; None where one has none."""
    found = [task.estimates[name] for task in tasks if name in task.estimates]
    return mean_estimate(found) if len(found) == len(tasks) else None


def _figures(
    columns: Columns, means: Array, reference: Reference | None, best: Array | None
) -> dict[str, Array]:
    figures = figures_of(columns, means, reference)
    if reference is not None and best is not None:
        figures |= gap_figures(columns, means[..., columns.curve], best, reference)
    return figures


def _estimates(
    columns: Columns,
    point: Mapping[str, Array],
    draws: Draws | None,
    gaps: Draws | None,
    reference: Reference | None,
) -> dict[str, Estimate]:
    """Every measure's sampling error; `gaps` holds the draws for what subtracts the frontier."""
    found: dict[str, Estimate] = {}
    if draws is not None:
        for name, values in figures_of(columns, draws.means, reference).items():
            found |= _estimate(name, point, values, draws)
    if gaps is not None and reference is not None and gaps.frontier is not None:
        curves = gaps.means[:, columns.curve]
        for name, values in gap_figures(columns, curves, gaps.frontier, reference).items():
            found |= _estimate(name, point, values, gaps)
    return found


def _frontier_error(curve: Curve, reference: Reference | None, gaps: Draws | None) -> float | None:
    if reference is None or gaps is None or gaps.drawn != "samples" or curve.budgets.size < 2:
        return None
    return float(reg.area(curve.budgets, reference.error))


def _estimate(name: str, point: Mapping[str, Array], values: Array, draws: Draws) -> dict[str, Estimate]:
    if not np.isfinite(point[name]) or np.isnan(values).all():
        return {}
    return {name: draws.measure(name, float(point[name]), values)}


def _measure(name: str, value: float, estimate: Estimate | None) -> Measure:
    if estimate is None or name.startswith("frontier_"):
        return Measure.of(name, value)
    return Measure.of(name, value, estimate.interval(), estimate.drawn)


def _average(name: str, tasks: Sequence[TaskMeasures]) -> Measure:
    values = [task.measure(name).value for task in tasks]
    known = [value for value in values if value is not None]
    value = float(np.mean(known)) if len(known) == len(values) else np.nan
    return _measure(name, value, estimate_of(name, tasks) if np.isfinite(value) else None)


def _counts(outcome: NDArray[np.int8]) -> dict[str, list[int]]:
    """Outcome name to its count at each budget, from shape (P, n, B); what is missing counts nowhere."""
    return {
        str(name): [int(count) for count in (outcome == code).sum(axis=(0, 1))]
        for code, name in enumerate(OUTCOMES)
    }


def _unboxed(full: Mapping[str, int]) -> list[str]:
    """Said where most whole responses answer nothing: a curve that falls at its end then misleads."""
    silent, total = full[Outcome.NO_ANSWER], sum(full.values())
    if 2 * silent <= total:
        return []
    return [
        f"{silent} of {total} whole responses have no boxed answer (in a code task: no block of code); "
        "they count as wrong, also at every budget that such a response never reached"
    ]
