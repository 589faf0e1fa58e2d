"""What stands beside a comparison from three training seeds on: intervals over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.compare.measured import MeasuredSide, same_grid
from reghar.compare.sides import Side, only_problems
from reghar.measures.catalogue import MEASURES, rounded
from reghar.measures.planning import contributions
from reghar.measures.training_seeds import FEWEST, Mean, over_answers, over_seeds, subtracted

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SeedCell:
    """One measure of one method on one task, over its training seeds."""

    task: str
    """A task, or the average row."""
    side: str
    seeds: int
    """Runs of the side, at least `FEWEST`."""
    measure: str
    unit: str
    mean: float | None
    """Over seeds; None for REG without a frontier, of which only the difference is known."""
    interval: tuple[float, float] | None
    """95%, Student's t."""
    difference: Mean | None
    """Mean minus the baseline's; None for the baseline, and where its error is not known."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Of the cell beside it."""
        return self.task, self.side, self.measure


@dataclass(frozen=True, kw_only=True)
class SeedSide:
    """A side run by run."""

    side: Side
    measured: MeasuredSide
    problems: Mapping[str, tuple[str, ...]]
    """Task to the problems that are compared."""

    @property
    def enough(self) -> bool:
        """Whether its runs say anything of further training seeds."""
        return len(self.side.runs) >= FEWEST

    def contributions(self, task: str, measure: str) -> list[Array]:
        """What each trace gives to a measure, (P, n) a run."""
        ids = self.problems[task]
        return [contributions(only_problems(run.outcomes(task), ids), measure) for run in self.side.runs]

    def mean(self, tasks: Sequence[str], measure: str) -> Mean | None:
        """Over seeds where there are enough; else of these very models, with the error of their answers."""
        found = [self.contributions(task, measure) for task in tasks]
        if not self.enough:
            return over_answers([np.concatenate(runs, axis=1) for runs in found])
        return over_seeds(np.mean([[run.mean() for run in runs] for runs in found], axis=0))

    def trace(self, tasks: Sequence[str]) -> float:
        """What one trace moves a mean of shares over these tasks by at least."""
        samples = [sum(run.protocol.tasks[task].samples for run in self.side.runs) for task in tasks]
        most = max(self.size(task) * count for task, count in zip(tasks, samples, strict=True))
        return 1 / (most * len(tasks))

    def size(self, task: str) -> int:
        """Problems of a task that are compared."""
        return len(self.problems[task])


def seed_cells(
    sides: Sequence[SeedSide], baseline: SeedSide, measures: Sequence[str], *, average: str
) -> Iterator[SeedCell]:
    """One cell per task (and the average of several), side with enough seeds, and measure."""
    names = list(baseline.problems)
    groups = [(name, [name]) for name in names] + ([(average, names)] if len(names) > 1 else [])
    for group, tasks in groups:
        for side in sides:
            if side.enough:
                yield from (_cell(group, tasks, side, baseline, measure) for measure in measures)


def _cell(group: str, tasks: Sequence[str], side: SeedSide, baseline: SeedSide, measure: str) -> SeedCell:
    # On one grid REG is the frontier's area, the same for all runs, less that under the curve.
    counted, sign = ("area", -1.0) if measure == "reg" else (measure, 1.0)
    unit = MEASURES[measure][0]
    ours = side.mean(tasks, counted)
    assert ours is not None  # noqa: S101  enough seeds always have a mean
    shift = _frontier_area(side.measured, tasks) if measure == "reg" else 0.0
    units = min(side.size(task) for task in tasks)
    interval = mean = None
    if shift is not None:
        mean = rounded(shift + sign * ours.value)
        signed = Mean(value=mean, variance=ours.variance, df=ours.df)
        interval = signed.share_interval(units) if unit == "fraction" else signed.interval()
    return SeedCell(
        task=group,
        side=side.side.label,
        seeds=len(side.side.runs),
        measure=measure,
        unit=unit,
        mean=mean,
        interval=interval,
        difference=_difference(ours, sign, side, baseline, tasks, counted),
    )


def _difference(
    ours: Mean, sign: float, side: SeedSide, baseline: SeedSide, tasks: Sequence[str], counted: str
) -> Mean | None:
    """Against the baseline's seeds, or, where it has too few, against its models as they are."""
    if side is baseline or (counted == "area" and not _one_grid(side, baseline, tasks)):
        return None
    theirs = baseline.mean(tasks, counted)
    if theirs is None:
        return None
    # Where all seeds happen to agree the next trace may still tell the sides apart.
    share = MEASURES[counted][0] == "fraction"
    least = max(one.trace(tasks) for one in (side, baseline)) if share else 0.0
    found = subtracted(ours, theirs, least=least)
    return Mean(value=rounded(sign * found.value), variance=found.variance, df=found.df)


def _one_grid(side: SeedSide, baseline: SeedSide, tasks: Sequence[str]) -> bool:
    ours, theirs = ([one for t in tasks for one in s.measured.of(t)] for s in (side, baseline))
    return same_grid(ours, theirs)


def _frontier_area(side: MeasuredSide, tasks: Sequence[str]) -> float | None:
    """The mean over tasks of the area under the frontier, tokens; None where a task has none."""
    found = []
    for task in tasks:
        figures = side.figures(task)
        if "reg" not in figures or figures["reg"].value is None or figures["area"].value is None:
            return None
        found.append(figures["reg"].value + figures["area"].value)
    return float(np.mean(found))
