"""A comparison as pictures: accuracy over length, a paper's methods among them; and curves subtracted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from reghar.compare.table import Comparison
from reghar.report.figures import curves, picture, trade_off

CurvePoint = tuple[str, float, float]
"""Label, mean length in tokens, accuracy 0..1."""


def save_scatter(comparison: Comparison, stem: Path) -> list[Path]:
    """Writes `stem`.png and `stem`.svg, a panel for every task and for their average; returns both."""
    panels = [
        (
            task,
            partial(
                trade_off.trade_off,
                models=list(_measured(comparison, task)),
                published=list(_published(comparison, task)),
            ),
        )
        for task in comparison.tasks
    ]
    return picture.save(panels, stem)


def save_differences(comparison: Comparison, stem: Path) -> list[Path]:
    """Writes `stem`.png and `stem`.svg: every curve minus the baseline's, one panel per task; returns both.

    Nothing is written where no curve can be subtracted from another.
    """
    panels = []
    for task in comparison.tasks:
        shown = [
            (f"{side} minus {comparison.baseline}", comparison.curves[task, side])
            for side in comparison.sides
            if (task, side) in comparison.curves
        ]
        if shown:
            panels.append((task, partial(curves.draw_difference, curves=shown, counts=comparison.counts)))
    return picture.save(panels, stem) if panels else []


def _measured(comparison: Comparison, task: str) -> Iterator[CurvePoint]:
    for side in comparison.sides:
        length = comparison.cell(task, side, "mean_length").value
        accuracy = comparison.cell(task, side, "accuracy_full").value
        if length is not None and accuracy is not None:
            yield side, length, accuracy


def _published(comparison: Comparison, task: str) -> Iterator[CurvePoint]:
    for row in comparison.published:
        if row.task == task:
            yield f"{row.method} (published)", row.mean_length, row.accuracy
