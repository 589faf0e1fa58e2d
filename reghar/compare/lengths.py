"""Lengths against the baseline's, and averages over tasks beside the plain mean: tables of PLP and CRE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from reghar.compare.cell import Cell
from reghar.compare.measured import MeasuredSide
from reghar.measures.catalogue import MEASURES, rounded
from reghar.measures.lengths import average_compression, average_pooled, compression, token_reduction
from reghar.measures.reg import change

AVERAGE_POOLED = "average_pooled"
"""What the row of means over tasks, weighted by problems x samples, is called."""
COMPRESSION = "compression"
"""Mean length as a fraction of the baseline's."""
RATIO_OF_AVERAGES = "compression_ratio_of_averages"
MEAN_OF_RATIOS = "compression_mean_of_ratios"
"""The two averages of a compression over tasks."""
REDUCTION = "token_reduction"
"""100 x (1 - compression); on average of the ratio of averages."""


def length_cells(side: MeasuredSide, baseline: MeasuredSide, *, average: str) -> Iterator[Cell]:
    """A side's compression and token reduction, task by task, and both averages where there are several."""
    ours, theirs = ([_length(one, task.task) for task in baseline.tasks] for one in (side, baseline))
    for task, length, base in zip(baseline.tasks, ours, theirs, strict=True):
        yield _cell(task.task, side.label, COMPRESSION, compression(length, base), "ratio", False)
        yield _cell(task.task, side.label, REDUCTION, token_reduction(length, base), "%", True)
    if len(ours) > 1:
        both = average_compression(ours, theirs)
        reduction = 100 * (1 - both.ratio_of_averages)
        yield _cell(average, side.label, RATIO_OF_AVERAGES, both.ratio_of_averages, "ratio", False)
        yield _cell(average, side.label, MEAN_OF_RATIOS, both.mean_of_ratios, "ratio", False)
        yield _cell(average, side.label, REDUCTION, reduction, "%", True)


def pooled_cells(side: MeasuredSide, baseline: MeasuredSide, measures: Sequence[str]) -> Iterator[Cell]:
    """A side's averages in which every sample weighs the same; without intervals."""
    against = side is not baseline
    for name in measures:
        value, base = _pooled(side, name), _pooled(baseline, name)
        unit, higher_is_better = MEASURES[name]
        yield Cell(
            task=AVERAGE_POOLED,
            side=side.label,
            measure=name,
            unit=unit,
            higher_is_better=higher_is_better,
            value=value,
            change=None if value is None or base is None or not against else change(value, base).relative,
            difference=None,
        )


def _pooled(side: MeasuredSide, name: str) -> float | None:
    """None where a task has no such figure."""
    figures = [side.figures(task.task).get(name) for task in side.tasks]
    values = [one.value for one in figures if one is not None and one.value is not None]
    if len(values) < len(side.tasks):
        return None
    curves = [task.curve for task in side.tasks]
    problems, samples = [one.problems for one in curves], [one.samples for one in curves]
    return rounded(average_pooled(values, problems, samples))


def _length(side: MeasuredSide, task: str) -> float:
    value = side.figures(task)["mean_length"].value
    return float("nan") if value is None else value


def _cell(task: str, side: str, measure: str, value: float, unit: str, higher_is_better: bool) -> Cell:
    return Cell(
        task=task,
        side=side,
        measure=measure,
        unit=unit,
        higher_is_better=higher_is_better,
        value=rounded(value) if isfinite(value) else None,
        change=None,
        difference=None,
    )
