"""Figures as functions that draw on an Axes, and the files that `reghar report` makes of them.

Every function takes a matplotlib Axes and what to draw, sets labels with units, and returns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reghar.measures.catalogue import Measure
from reghar.measures.curves import problem_means, stored_traces
from reghar.measures.paired import CurveDifference
from reghar.protocol import BudgetCounts
from reghar.report.figures import style
from reghar.report.figures.axes import (
    Scale,
    accuracy_axis,
    budget_axis,
    budget_columns,
    round_steps,
    shared_legend,
    tokens,
    whole_numbers,
)
from reghar.report.schema import CurveRecord, FrontierCurveRecord, TaskReport
from reghar.report.text import measured, model_name
from reghar.store.outcomes import MISSING, TaskOutcomes
from reghar.store.parts import write_aside
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

Panel = tuple[str, Callable[["Axes"], None]]
"""A heading, shown where there are several panels, and what draws the panel."""


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


def outcomes_by_budget(axes: Axes, task: TaskReport, counts: BudgetCounts = "response") -> None:
    """The share of every outcome at every budget, stacked; each budget has the same width."""
    total = sum(numbers[0] for numbers in task.outcomes.values())
    places = np.arange(len(task.curve.budgets))
    floor = np.zeros(len(places))
    for outcome, numbers in task.outcomes.items():
        share = 100 * np.asarray(numbers) / max(total, 1)
        if not share.any():
            continue
        axes.bar(
            places,
            share,
            width=1.0,
            bottom=floor,
            color=style.OUTCOME_COLOURS[outcome],
            edgecolor="#555555" if outcome == "missing" else "white",
            hatch="////" if outcome == "missing" else None,
            label=outcome.replace("_", " "),
        )
        floor += share
    budget_columns(axes, task.curve.budgets, counts)
    axes.set_ylim(0, 100)
    axes.set_ylabel("Answers (%)")
    axes.grid(visible=False)


def response_lengths(axes: Axes, outcomes: TaskOutcomes) -> None:
    """How many traces have which length: finished and correct, finished and not, cut at `maxtokens`."""
    held = outcomes.full != MISSING
    correct = outcomes.full_correct > 0
    groups = (
        ("finished, correct", style.BEYOND, held & outcomes.finished & correct),
        ("finished, not correct", "#D55E00", held & outcomes.finished & ~correct),
        ("never finished", "#BBBBBB", held & ~outcomes.finished),
    )
    shown = [(label, colour, outcomes.length[group]) for label, colour, group in groups if group.any()]
    longest = max((int(lengths.max()) for _, _, lengths in shown), default=1) or 1
    bins = np.linspace(0, longest, 33)
    axes.hist(
        [lengths for _, _, lengths in shown],
        bins=list(bins),
        stacked=True,
        color=[colour for _, colour, _ in shown],
        edgecolor="white",
        label=[label for label, _, _ in shown],
    )
    axes.set_xlim(0, longest)
    axes.set_xlabel("Response length (tokens)")
    axes.set_ylabel("Traces (number)")
    whole_numbers(axes.yaxis)
    axes.xaxis.set_major_formatter(tokens)


def problem_heat_map(axes: Axes, outcomes: TaskOutcomes) -> None:
    """Accuracy of every problem (a row, hardest at the bottom) at every budget (a column)."""
    stored = stored_traces(outcomes)
    kept = np.flatnonzero(stored.any(axis=1))
    accuracy = 100 * problem_means(outcomes.correct, stored)
    order = np.argsort(-accuracy.mean(axis=1), kind="stable")
    image = axes.imshow(
        accuracy[order], aspect="auto", cmap=style.HEAT, vmin=0, vmax=100, interpolation="nearest"
    )
    budget_columns(axes, [int(budget) for budget in outcomes.budgets], outcomes.budget_counts)
    axes.set_ylabel("Problem (by mean accuracy)")
    if len(order) <= 20:
        axes.set_yticks(range(len(order)), [printable(outcomes.problems[kept[i]])[-16:] for i in order])
    else:
        ranks = [1, *round_steps(len(order))[1:]]
        axes.set_yticks([rank - 1 for rank in ranks], [str(rank) for rank in ranks])
    axes.grid(visible=False)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_label(f"Accuracy of {outcomes.outcome.shape[1]} samples (%)")


def draw_selection_errors(axes: Axes, errors: Mapping[str, Sequence[float]]) -> None:
    """Approximation error of the frontier's area by number of budgets, per strategy (REG figure 3)."""
    for (name, values), (colour, line), marker in zip(
        errors.items(), style.MODEL_STYLES, "os^", strict=False
    ):
        numbers = range(1, len(values) + 1)
        axes.plot(numbers, _percent(values), color=colour, linestyle=line, marker=marker, label=name)
    axes.set_xticks(range(1, 1 + max(len(values) for values in errors.values())))
    axes.set_xlabel("Budgets besides 0 and the largest (number)")
    axes.set_ylabel("Approximation error (%)")
    # Errors span orders of magnitude; one of 0 has no place on the axis and is left out.
    if any(value > 0 for values in errors.values() for value in values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


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


def save(
    panels: Sequence[tuple[str, Callable[[Axes], None]]],
    stem: Path,
    *,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Draw one panel for every (heading, draw) and write `stem`.png and `stem`.svg; the files written.

    Files are written aside and renamed: no reader meets half a figure.
    """
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with style.styled():
        figure = Figure(figsize=(style.COLUMN_WIDTH * columns, style.PANEL_HEIGHT * rows + 0.3))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (heading, draw) in zip(grid, panels, strict=False):
            draw(axes)
            if len(panels) > 1:
                axes.set_title(printable(heading), loc="left", fontweight="bold")
        for axes in grid[len(panels) :]:
            axes.remove()
        shared_legend(figure)
        files = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
        for file, kind in zip(files, formats, strict=True):
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            write_aside(file, partial(figure.savefig, format=kind, metadata=metadata))
        return files


def model_label(name: str, reg: Measure | None = None) -> str:
    """A legend entry: the model's own name and its REG where there is one."""
    short = model_name(name)
    return short if reg is None or reg.value is None else f"{short}, REG {measured(reg)}"


def _percent(values: Sequence[float]) -> NDArray[np.float64]:
    return 100 * np.asarray(values, dtype=np.float64)


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
