"""The figures of one side of a check: from stored samples, or from a report.json alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from reghar.compare.gates import Gate
from reghar.compare.measured import Bootstrap, MeasuredSide, measure_side
from reghar.compare.sides import Side, load_sides, up_to_budget
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice, frontier_identity
from reghar.measures.catalogue import Measure
from reghar.measures.control_methods import own_control
from reghar.measures.task import TaskMeasures
from reghar.protocol import Protocol
from reghar.report.schema import MethodRecord, Report
from reghar.report.text import model_name
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

CurvePoints = tuple[tuple[int, float], ...]
"""Budget in tokens and accuracy as a fraction."""


@dataclass(frozen=True, kw_only=True)
class StoredSide:
    """A side with its stored samples."""

    label: str
    outcomes: tuple[TaskOutcomes, ...]
    """Complete; a task each."""
    reference: FrontierChoice
    bootstrap: Bootstrap
    runs: tuple[StoredRun, ...] = ()
    """Where the samples come from: the Control of a method other than `force` is read from its settings."""
    _measured: dict[int | None, MeasuredSide] = field(default_factory=dict)

    @property
    def frontier(self) -> str | None:
        """The frontier that REG is measured against, told from others by its points."""
        return None if self.reference.record is None else frontier_identity(self.reference.record)

    def measured(self, budget: int | None = None) -> MeasuredSide:
        """All measures; with a budget, as if it were the run's last one (its accuracy is at L_max)."""
        if budget not in self._measured:
            outcomes = [one if budget is None else up_to_budget(one, budget) for one in self.outcomes]
            # Only the accuracy is read of a run that is cut short, and it needs no frontier.
            reference = self.reference if budget is None else FrontierChoice()
            side = measure_side(self.label, outcomes, reference, self.bootstrap)
            self._measured[budget] = side if budget is not None else self._with_own_control(side)
        return self._measured[budget]

    def _with_own_control(self, side: MeasuredSide) -> MeasuredSide:
        """Control is that of the method asked for (definitions: s1's measures)."""
        return replace(side, tasks=tuple(self._controlled(task) for task in side.tasks))

    def _controlled(self, task: TaskMeasures) -> TaskMeasures:
        if not self.runs or all(setting.method == "force" for setting in self.runs[0].settings):
            return task
        others = tuple(measure for measure in task.measures if measure.name != "control")
        own = own_control(
            self.runs,
            task.task,
            interval=self.bootstrap.interval,
            seed=self.bootstrap.seed,
            replicates=self.bootstrap.replicates,
            clusters=task.clusters,
        )
        estimates = {name: one for name, one in task.estimates.items() if name != "control"}
        # A method's settings are other traces than the plain ones: no problem alone has a Control.
        of_problem = {**task.of_problem, "control": np.full(len(task.problems), np.nan)}
        if own is None:
            return replace(task, measures=others, estimates=estimates, of_problem=of_problem)
        measure, estimate = own
        if estimate is not None:
            estimates["control"] = estimate
        return replace(task, measures=(*others, measure), estimates=estimates, of_problem=of_problem)

    def figure(self, gate: Gate) -> Measure | None:
        """What the gate is on, with the interval of its own; None where there is no such figure."""
        return self.measured(gate.budget).figures(gate.task).get(gate.reported)

    def area(self, gate: Gate) -> Measure | None:
        """The area under the curve, of which a difference is one of REG."""
        return self.measured().figures(gate.task).get("area")

    def curve(self) -> CurvePoints:
        """Accuracy by budget, the mean over tasks."""
        curves = [task.curve for task in self.measured().tasks]
        accuracy = np.mean([curve.accuracy for curve in curves], axis=0)
        return tuple(zip(curves[0].budgets.tolist(), accuracy.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class ReportSide:
    """A side of which only the report is left: no pairing, only each figure's own interval."""

    label: str
    report: Report

    @property
    def frontier(self) -> str | None:
        """See `StoredSide.frontier`."""
        return None if self.report.frontier is None else frontier_identity(self.report.frontier)

    def figure(self, gate: Gate) -> Measure | None:
        """See `StoredSide.figure`."""
        if gate.measure == "control" and any(self._own_methods(task) for task in self.report.tasks):
            return _mean([self._own_control(task) for task in self._tasks(gate.task)])
        if gate.budget is None:
            return self._measure(gate.reported, gate.task)
        tasks = [self._accuracy_at(task, gate.budget) for task in self._tasks(gate.task)]
        return _mean(tasks)

    def area(self, gate: Gate) -> Measure | None:
        """See `StoredSide.area`."""
        return self._measure("area", gate.task)

    def curve(self) -> CurvePoints:
        """See `StoredSide.curve`."""
        curve = self.report.average.curve
        return tuple(zip(curve.budgets, curve.accuracy, strict=True))

    def _measure(self, name: str, task: str | None) -> Measure | None:
        return (
            self.report.overall(name)
            if task is None
            else self.report.tasks[self._tasks(task)[0]].measure(name)
        )

    def _own_methods(self, task: str) -> list[MethodRecord]:
        return [method for method in self.report.tasks[task].control if method.method != "force"]

    def _own_control(self, task: str) -> Measure:
        """See `reghar.report.control.own_control`."""
        for method in self._own_methods(task):
            record = method.measure("control")
            if record is not None and record.value is not None:
                return record
        raise InputError(f"there is no control in the report of {self.label}: no setting has a bound")

    def _tasks(self, task: str | None) -> list[str]:
        if task is not None and task not in self.report.tasks:
            raise InputError(f"no task {task!r} in the report; it has {', '.join(self.report.tasks)}")
        return list(self.report.tasks) if task is None else [task]

    def _accuracy_at(self, task: str, budget: int) -> Measure:
        curve = self.report.tasks[task].curve
        if budget not in curve.budgets:
            raise InputError(
                f"{budget} is no budget of the report: choose among {', '.join(map(str, curve.budgets))}"
            )
        at = curve.budgets.index(budget)
        return Measure(
            name=f"accuracy@{budget}",
            value=curve.accuracy[at],
            unit="fraction",
            higher_is_better=True,
            low=None if curve.low is None else curve.low[at],
            high=None if curve.high is None else curve.high[at],
        )


EvidenceSide = StoredSide | ReportSide


def _mean(measures: Sequence[Measure]) -> Measure:
    """The mean of independent figures: the half-widths of their intervals add up in squares."""
    first = measures[0]
    values = np.array([measure.value for measure in measures], dtype=np.float64)
    low = high = None
    if all(measure.low is not None and measure.high is not None for measure in measures):
        below = values - np.array([measure.low for measure in measures], dtype=np.float64)
        above = np.array([measure.high for measure in measures], dtype=np.float64) - values
        low = float(values.mean() - np.sqrt((below**2).sum()) / values.size)
        high = float(values.mean() + np.sqrt((above**2).sum()) / values.size)
    return Measure(
        name=first.name,
        value=float(values.mean()),
        unit=first.unit,
        higher_is_better=first.higher_is_better,
        low=low,
        high=high,
    )


@dataclass(frozen=True, kw_only=True)
class NamedSide:
    """What a user named as RUN or as baseline, before anything is measured."""

    name: str
    """As given."""
    side: Side | None
    """None for a report."""
    report: Report | None

    @property
    def protocol(self) -> Protocol:
        """Every setting that can change a number."""
        return self.side.protocol if self.side is not None else self._report.protocol

    @property
    def _report(self) -> Report:
        assert self.report is not None  # noqa: S101  one of the two is always there
        return self.report

    def source(
        self, outcomes: Sequence[TaskOutcomes], reference: FrontierChoice, bootstrap: Bootstrap
    ) -> EvidenceSide:
        """The figures; from these samples, where there are some."""
        if self.side is None:
            return ReportSide(label=model_name(self._report.model), report=self._report)
        return StoredSide(
            label=self.side.label,
            outcomes=tuple(outcomes),
            reference=reference,
            bootstrap=bootstrap,
            runs=self.side.runs,
        )


def load_given(argument: str) -> NamedSide:
    """A run, several runs of one method (`RUN+RUN`), or a report where no samples are stored.

    Raises InputError for what is neither, and for an incomplete run or report: no figure of it is final.
    """
    path = Path(argument)
    if path.is_file() or (path.is_dir() and not _has_samples(path) and (path / "report.json").is_file()):
        report = Report.read(path)
        if not report.complete:
            raise InputError(f"the report {argument!r} is of an incomplete run; finish that with --resume")
        return NamedSide(name=argument, side=None, report=report)
    (side,) = load_sides([argument])
    for run in side.runs:
        run.require_complete()
    return NamedSide(name=argument, side=side, report=None)


def _has_samples(folder: Path) -> bool:
    return (folder / "run.json").is_file() and (folder / "scores").is_dir()
