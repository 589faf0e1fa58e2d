"""A task's outcomes and its frontier to the named measures that reports show and checks compare.

Every measure is a function of means over problems, so that a bootstrap replicate is the same
function of resampled means: see `reghar.measures.estimates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.frontiers.frontier import TaskFrontier
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures import bootstrap, reg
from reghar.measures.bootstrap import REPLICATES, Expansion
from reghar.measures.catalogue import MEASURES, IntervalKind, Measure
from reghar.measures.curves import Curve, curve_of, problem_means, stored_traces
from reghar.measures.estimates import Columns, Reference, figures_of
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
    frontier: Array | None
    """Shape (B,): the frontier's accuracy at the curve's budgets; None without a frontier."""
    outcomes: dict[str, list[int]]
    """Outcome name to its count at each budget, lists of length B."""
    full_outcomes: dict[str, int]
    """Outcome name to its count over the whole traces' own answers."""
    measures: tuple[Measure, ...]
    """In the order of `MEASURES`; those of REG only with a frontier."""
    reg: RegResult | None
    replicates: dict[str, Array]
    """Measure name to its bootstrap replicates, shape (R,); empty where there are no intervals."""
    expansion: Expansion | None
    """The correction of percentile levels for few problems; None where there are no intervals."""
    problems: tuple[str, ...]
    """Ids of the problems that the measures are taken over, in the task's order."""
    notes: tuple[str, ...]

    def measure(self, name: str) -> Measure:
        """The measure called `name`; KeyError where there is none."""
        return {measure.name: measure for measure in self.measures}[name]


def task_measures(
    outcomes: TaskOutcomes,
    frontier: TaskFrontier | None,
    *,
    interval: IntervalKind = "problems",
    seed: int = 0,
    replicates: int = REPLICATES,
) -> TaskMeasures:
    """The curve, its intervals, outcome counts and all measures of one task.

    `interval` says what the bootstrap draws: whole `problems`, or `samples` within fixed problems.
    The frontier is taken as given: its own noise is not in the intervals. An incomplete run is measured
    on the traces it holds, and a note says so. Raises InputError where nothing is stored, or a budget
    lies outside the frontier's, or a setting is no budget.
    """
    stored = stored_traces(outcomes)
    curve = curve_of(outcomes, partial=True)
    columns = Columns.of(outcomes)
    statistics = columns.statistics(outcomes)
    means = problem_means(statistics, stored)
    reference = None if frontier is None else Reference.of(curve, frontier)

    point = figures_of(columns, means.mean(axis=0), reference)
    draws, expansion, notes = _draws(outcomes, statistics, stored, means, interval, seed, replicates)
    replicated: dict[str, Array] = {}
    low = high = None
    if draws is not None and expansion is not None:
        replicated = figures_of(columns, draws, reference)
        low, high = bootstrap.interval(draws[:, columns.curve], expansion)
    if not curve.complete:
        held = int(stored.sum())
        notes.insert(0, f"incomplete: measured on the {held} of {stored.size} traces that are finished")
    measures = [
        _measure(name, float(point[name]), replicated.get(name), expansion)
        for name in MEASURES
        if name in point
    ]
    gap = None
    if frontier is not None and reference is not None and curve.budgets.size > 1:
        gap = reg.reg(curve.budgets, curve.accuracy, frontier.budgets, frontier.accuracy)
        reading = reg.wasted_tokens(curve.budgets, curve.accuracy, reference.accuracy)
        measures.append(_reading(reading))
        notes.extend(gap.notes)
        if reading is None:
            notes.append("no reading as wasted tokens: the curve or the frontier falls somewhere")
    notes.extend(columns.notes(curve, frontier))
    full = {name: counts[0] for name, counts in _counts(outcomes.full[..., None]).items()}
    notes.extend(_unboxed(full))
    order = {name: position for position, name in enumerate(MEASURES)}
    return TaskMeasures(
        task=outcomes.task,
        curve=curve,
        low=low,
        high=high,
        frontier=None if reference is None else reference.accuracy,
        outcomes=_counts(outcomes.outcome),
        full_outcomes=full,
        measures=tuple(sorted(measures, key=lambda measure: order[measure.name])),
        reg=gap,
        replicates=replicated,
        expansion=expansion,
        problems=tuple(np.array(outcomes.problems, dtype=object)[stored.any(axis=1)].tolist()),
        notes=tuple(notes),
    )


def average_measures(tasks: Sequence[TaskMeasures]) -> list[Measure]:
    """The plain mean over tasks of every measure that all of them have (REG table 1, "Average").

    A measure without a value on one task has none on average. The interval comes from the tasks' own
    replicates, which are independent draws.
    """
    return [_average(name, tasks) for name in MEASURES if all(_has(task, name) for task in tasks)]


def difference(
    name: str, candidate: Sequence[TaskMeasures], baseline: Sequence[TaskMeasures]
) -> bootstrap.Difference | None:
    """The paired difference, candidate minus baseline, of one measure, averaged over tasks.

    Both hold the same tasks in the same order, measured on the same problems with the same seed. None
    where one side has no value or no replicates. Raises ValueError for other problems.
    """
    pairs = list(zip(candidate, baseline, strict=True))
    for one, other in pairs:
        if (one.task, one.problems) != (other.task, other.problems):
            raise ValueError(f"{one.task} and {other.task} were not measured on the same problems")
    values, draws, expansions = [], [], []
    for one, other in pairs:
        left, right = one.measure(name).value, other.measure(name).value
        if left is None or right is None or one.expansion is None:
            return None
        if name not in one.replicates or name not in other.replicates:
            return None
        values.append(left - right)
        draws.append(one.replicates[name] - other.replicates[name])
        expansions.append(one.expansion)
    if not np.isfinite(draws).all():
        return None
    expansion = bootstrap.mean_expansion(draws, expansions)
    return bootstrap.paired_difference(float(np.mean(values)), np.mean(draws, axis=0), expansion)


def _draws(
    outcomes: TaskOutcomes,
    statistics: Array,
    stored: NDArray[np.bool_],
    means: Array,
    interval: IntervalKind,
    seed: int,
    replicates: int,
) -> tuple[Array | None, Expansion | None, list[str]]:
    """Replicated means (R, K) and their correction; None and a note where there can be no interval."""
    problems, samples = len(means), outcomes.outcome.shape[1]
    if interval == "problems":
        if problems < 2:
            return None, None, ["no intervals: a bootstrap over problems needs at least 2"]
        draws = bootstrap.bootstrap_problems(means, seed=seed, task=outcomes.task, replicates=replicates)
        return draws, bootstrap.problem_expansion(problems), []
    if samples < 2:
        return None, None, ["no intervals: a bootstrap over samples needs at least 2 per problem"]
    if not stored.all():
        return None, None, ["no intervals: a bootstrap over samples needs a complete run"]
    draws = bootstrap.bootstrap_samples(statistics, seed=seed, task=outcomes.task, replicates=replicates)
    return draws, bootstrap.sample_expansion(problems, samples), []


def _measure(name: str, value: float, replicates: Array | None, expansion: Expansion | None) -> Measure:
    """A value that is not finite is none; an interval end that is not finite is open."""
    unit, higher_is_better = MEASURES[name]
    low = high = None
    if replicates is not None and expansion is not None and not np.isnan(value):
        known = replicates[~np.isnan(replicates)]
        if known.size:
            ends = bootstrap.interval(known, expansion)
            low, high = (_finite(float(end)) for end in ends)
    return Measure(
        name=name,
        value=_finite(value),
        unit=unit,
        higher_is_better=higher_is_better,
        low=None if name.startswith("frontier_") else low,
        high=None if name.startswith("frontier_") else high,
    )


def _reading(value: float | None) -> Measure:
    """The reading of REG as wasted tokens: the same figure, so without an interval of its own."""
    return _measure("wasted_tokens_reading", np.nan if value is None else value, None, None)


def _average(name: str, tasks: Sequence[TaskMeasures]) -> Measure:
    values = [task.measure(name).value for task in tasks]
    known = [value for value in values if value is not None]
    value = float(np.mean(known)) if len(known) == len(values) else np.nan
    expansions = [task.expansion for task in tasks if task.expansion is not None]
    draws = [task.replicates[name] for task in tasks if name in task.replicates]
    if len(draws) < len(tasks) or len(expansions) < len(tasks):
        return _measure(name, value, None, None)
    return _measure(name, value, np.mean(draws, axis=0), bootstrap.mean_expansion(draws, expansions))


def _has(task: TaskMeasures, name: str) -> bool:
    return any(measure.name == name for measure in task.measures)


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
        f"{silent} of {total} whole responses have no boxed answer; they count as wrong, also at every "
        "budget that such a response never reached"
    ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
