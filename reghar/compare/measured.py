"""A side's measures against the frontier that all sides share, and paired differences of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reghar.compare.sides import Side, only_problems
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice, choose_frontier
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.catalogue import IntervalKind, Measure
from reghar.measures.clusters import shared_clusters
from reghar.measures.estimate import FEW, Difference
from reghar.measures.paired import difference
from reghar.measures.task import TaskMeasures, average_measures, task_measures
from reghar.store.outcomes import TaskOutcomes


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals and p-values are made (definitions: Statistics), the same for all sides."""

    interval: IntervalKind = "problems"
    replicates: int = REPLICATES
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class MeasuredSide:
    """One side in figures."""

    label: str
    tasks: tuple[TaskMeasures, ...]
    """In the order of the comparison; the same tasks and problems for every side."""

    def figures(self, task: str | None) -> dict[str, Measure]:
        """Measures of one task, or their average over tasks (None), by name."""
        if task is None and len(self.tasks) > 1:
            return {measure.name: measure for measure in average_measures(self.tasks)}
        return {measure.name: measure for measure in self.of(task)[0].measures}

    def of(self, task: str | None) -> tuple[TaskMeasures, ...]:
        """One task, or all of them (None). Raises InputError for a task that is not compared."""
        if task is None:
            return self.tasks
        chosen = tuple(one for one in self.tasks if one.task == task)
        if not chosen:
            raise InputError(
                f"no task {task!r} in the runs; they have {', '.join(t.task for t in self.tasks)}"
            )
        return chosen

    def units(self, task: str | None, drawn: IntervalKind) -> int:
        """What is drawn from: problems of all these tasks, or the fewest samples per problem."""
        curves = [one.curve for one in self.of(task)]
        if drawn == "problems":
            return sum(curve.problems for curve in curves)
        return min(curve.samples for curve in curves)

    def fewest_units(self, task: str | None, drawn: IntervalKind) -> int:
        """The least of `units` with which a difference can be established at all."""
        if drawn == "samples":
            return 2
        clusters = sum(one.clusters.count for one in self.of(task))
        return math.ceil(FEW * self.units(task, drawn) / clusters)


def measure_side(
    label: str, outcomes: Sequence[TaskOutcomes], reference: FrontierChoice, bootstrap: Bootstrap
) -> MeasuredSide:
    """Everything that is shown or tested of one side."""
    return MeasuredSide(
        label=label,
        tasks=tuple(
            task_measures(
                one,
                reference.tasks.get(one.task),
                interval=bootstrap.interval,
                seed=bootstrap.seed,
                replicates=bootstrap.replicates,
            )
            for one in outcomes
        ),
    )


def outcomes_of_sides(
    sides: Sequence[Side], problems: Mapping[str, tuple[str, ...]]
) -> list[list[TaskOutcomes]]:
    """Every side's outcomes on these problems, task by task, in clusters that all sides share."""
    by_task = [
        shared_clusters([only_problems(side.outcomes(task), ids) for side in sides])
        for task, ids in problems.items()
    ]
    return [[of_task[place] for of_task in by_task] for place in range(len(sides))]


def shared_reference(sides: Sequence[Side], baseline: Side, spec: str | None) -> FrontierChoice:
    """The one frontier that all sides are measured against.

    `spec` as for `reghar report`; None for what the baseline was run with. `auto` goes by the models'
    names, of which one at least must be known; InputError where they name different frontiers.
    """
    chosen = spec or baseline.runs[0].manifest.frontier
    if chosen != "auto":
        return choose_frontier(chosen, model=baseline.runs[0].model, protocol=baseline.protocol)
    order = [baseline, *(side for side in sides if side is not baseline)]
    found = [choose_frontier("auto", model=s.runs[0].model, protocol=s.protocol) for s in order]
    known = [one for one in found if one.record is not None]
    names = sorted({one.record.name for one in known if one.record is not None})
    if len(names) > 1:
        raise InputError(
            f"by their names the models belong to {' and '.join(names)}: name one with --frontier"
        )
    return known[0] if known else found[0]


def paired(name: str, candidate: MeasuredSide, baseline: MeasuredSide, task: str | None) -> Difference | None:
    """Candidate minus baseline, paired by problem, of one task or averaged over all (None).

    On one grid a difference of REG is that of the areas under the curves, whatever the frontier, so it
    exists without one. None where a side has no such figure or there can be no interval.
    """
    ours, theirs = candidate.of(task), baseline.of(task)
    if name == "reg" and same_grid(ours, theirs):
        found = difference("area", theirs, ours)
    elif all(one.has(name) for one in (*ours, *theirs)):
        found = difference(name, ours, theirs)
    else:
        found = None
    return found


def same_grid(ours: Sequence[TaskMeasures], theirs: Sequence[TaskMeasures]) -> bool:
    """True where all curves of a pair have the same budgets, and enough of them for an area."""
    return all(
        one.curve.budgets.size > 1 and one.curve.budgets.tolist() == other.curve.budgets.tolist()
        for one, other in zip(ours, theirs, strict=True)
    )
