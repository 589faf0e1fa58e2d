"""Accuracy by budget: one model with its interval and gap, several over each other, and differences.

Every function takes a matplotlib Axes and what to draw, sets labels with units, and returns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reghar.measures.paired import CurveDifference
from reghar.protocol import BudgetCounts
from reghar.report.figures import style
from reghar.report.figures.axes import (
    Scale,
    accuracy_axis,
    budget_axis,
)
from reghar.report.schema import CurveRecord, FrontierCurveRecord
from reghar.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEN = 0.004
"""Accuracy: what is narrower cannot be seen, and gets no entry in the legend."""

INTERVAL = "95% interval of each point"
BAND = "95% band of the whole curve"
"""What the two areas around a curve are called."""

Ends = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lower and upper, shape (B,) each, as fractions."""


def curve(
    axes: Axes,
    curve: CurveRecord,
    frontier: FrontierCurveRecord | None,
    *,
    label: str = "model",
    scale: Scale = "linear",
    counts: BudgetCounts = "response",
) -> None:
    """One model's accuracy by budget with its interval, the frontier and the gap between (REG figure 2)."""
    if frontier is not None:
        _shade_gap(axes, curve, frontier)
        _draw_frontier(axes, curve.budgets, frontier)
    _band(axes, curve, style.CURVE)
    axes.plot(
        curve.budgets, _percent(curve.accuracy), color=style.CURVE, marker="o", label=label, clip_on=False
    )
    budget_axis(axes, curve.budgets, scale, counts)
    accuracy_axis(axes)


def overlay(
    axes: Axes,
    curves: Sequence[tuple[str, CurveRecord]],
    frontier: FrontierCurveRecord | None,
    *,
    scale: Scale = "linear",
    counts: BudgetCounts = "response",
) -> None:
    """Several models on one task, (label, curve) each, with the frontier and every gap to it (REG figure 5).

    All curves stand on the same budgets.
    """
    for i, (label, one) in enumerate(curves):
        colour, line = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        accuracy = _percent(one.accuracy)
        if frontier is not None:
            axes.fill_between(
                one.budgets,
                accuracy,
                _percent(frontier.accuracy),
                color=colour,
                alpha=0.4 / max(len(curves), 3),
                linewidth=0,
            )
        axes.plot(
            one.budgets,
            accuracy,
            color=colour,
            linestyle=line,
            marker="o" if len(one.budgets) == 1 else None,
            label=printable(label),
            clip_on=False,
        )
    if frontier is not None:
        _draw_frontier(axes, curves[0][1].budgets, frontier)
    budget_axis(axes, curves[0][1].budgets, scale, counts)
    accuracy_axis(axes)


def _draw_frontier(axes: Axes, budgets: Sequence[int], frontier: FrontierCurveRecord) -> None:
    """Solid, wide and below, in every figure: a model on the frontier is seen on it."""
    axes.plot(
        budgets,
        _percent(frontier.accuracy),
        color=style.FRONTIER,
        linewidth=3.0,
        marker="s" if len(budgets) == 1 else None,
        zorder=1.9,
        label="frontier",
        clip_on=False,
    )


def draw_difference(
    axes: Axes, curves: Sequence[tuple[str, CurveDifference]], *, counts: BudgetCounts = "response"
) -> None:
    """Curves minus the baseline's, (label, difference) each, with interval and band; above 0 is better."""
    axes.axhline(0, color=style.FRONTIER, linewidth=1.0)
    for i, (label, one) in enumerate(curves):
        colour, line = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        budgets = one.budgets.tolist()
        _fill(axes, budgets, one.interval, one.band, colour, named=i == 0)
        axes.plot(
            budgets,
            100 * one.values,
            color=colour,
            linestyle=line,
            marker="o" if len(budgets) == 1 else None,
            label=printable(label),
        )
    budget_axis(axes, curves[0][1].budgets.tolist(), "linear", counts)
    axes.set_ylabel("Difference of accuracy (points)")


def _band(axes: Axes, curve: CurveRecord, colour: str) -> None:
    def ends(low: Sequence[float] | None, high: Sequence[float] | None) -> Ends | None:
        return None if low is None or high is None else (np.asarray(low), np.asarray(high))

    interval, band = ends(curve.low, curve.high), ends(curve.band_low, curve.band_high)
    _fill(axes, curve.budgets, interval, band, colour, named=len(curve.budgets) > 1)


def _fill(
    axes: Axes, budgets: Sequence[int], interval: Ends | None, band: Ends | None, colour: str, *, named: bool
) -> None:
    """Each point's interval, and around it, fainter and between dotted edges, the band of the whole curve."""
    for ends, alpha, edge, label in ((band, 0.08, 0.7, BAND), (interval, 0.2, 0.0, INTERVAL)):
        if ends is None:
            continue
        low, high = (100 * end for end in ends)
        seen = float((high - low).max()) > 100 * SEEN
        axes.fill_between(
            budgets,
            low,
            high,
            facecolor=(colour, alpha),
            edgecolor=(colour, 0.9),
            linestyle=":" if edge else "-",
            linewidth=edge,
            label=label if named and seen else None,
        )


def _shade_gap(axes: Axes, curve: CurveRecord, frontier: FrontierCurveRecord) -> None:
    """The area that REG integrates: lines where the curve is below, dots where it is beyond."""
    model, best = _percent(curve.accuracy), _percent(frontier.accuracy)
    for where, colour, hatch, label in (
        (best >= model, style.BELOW, "////", "gap to the frontier"),
        (best < model, style.BEYOND, "....", "beyond the frontier"),
    ):
        if not (where & (np.abs(best - model) > 100 * SEEN)).any() or len(curve.budgets) < 2:
            continue
        axes.fill_between(
            curve.budgets,
            model,
            best,
            where=list(where),
            interpolate=True,
            facecolor=(colour, 0.3),
            edgecolor=(colour, 0.9),
            hatch=hatch,
            linewidth=0,
            label=label,
        )


def _percent(values: Sequence[float]) -> NDArray[np.float64]:
    return 100 * np.asarray(values, dtype=np.float64)
