"""Accuracy against length, and what few budgets lose of a curve's area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reghar.report.figures import style
from reghar.report.figures.axes import (
    tokens,
)
from reghar.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def trade_off(
    axes: Axes,
    models: Sequence[tuple[str, float, float]],
    published: Sequence[tuple[str, float, float]] = (),
) -> None:
    """Mean length and accuracy of models, a point each (REG figure 6): up and to the left is better.

    `models` holds (label, mean length in tokens, accuracy 0..1); `published` the same of a paper, as open
    marks.
    """
    for i, (label, length, accuracy) in enumerate(published):
        axes.scatter(
            [length],
            [100 * accuracy],
            s=36,
            facecolors="none",
            edgecolors=style.MODEL_STYLES[i % len(style.MODEL_STYLES)][0],
            marker="^DvsoPX"[i % 7],
            label=printable(label),
            clip_on=False,
        )
    for i, (label, length, accuracy) in enumerate(models):
        colour, _ = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        marker = "os^Dv"[i % 5]
        axes.scatter(
            [length],
            [100 * accuracy],
            s=36,
            color=colour,
            marker=marker,
            label=printable(label),
            clip_on=False,
        )
    axes.margins(0.2)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -4), min(high, 104))
    axes.set_xlim(left=max(axes.get_xlim()[0], 0))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("Mean response length (tokens)")
    axes.set_ylabel("Accuracy, whole trace (%)")
    axes.xaxis.set_major_formatter(tokens)


def draw_selection_errors(axes: Axes, errors: Mapping[str, Sequence[float]]) -> None:
    """Approximation error of the frontier's area by number of budgets, per strategy (REG figure 3)."""
    for (name, values), (colour, line), marker in zip(
        errors.items(), style.MODEL_STYLES, "os^", strict=False
    ):
        numbers = range(1, len(values) + 1)
        axes.plot(
            numbers,
            [100 * value for value in values],
            color=colour,
            linestyle=line,
            marker=marker,
            label=name,
        )
    axes.set_xticks(range(1, 1 + max(len(values) for values in errors.values())))
    axes.set_xlabel("Budgets besides 0 and the largest (number)")
    axes.set_ylabel("Approximation error (%)")
    # Errors span orders of magnitude; one of 0 has no place on the axis and is left out.
    if any(value > 0 for values in errors.values() for value in values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
