"""Axes with units, and one legend above all panels: what every figure shares."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from reghar.protocol import BudgetCounts
from reghar.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Scale = Literal["linear", "log2"]


def budget_label(counts: BudgetCounts) -> str:
    """The title of a budget axis: what is counted."""
    return f"Budget ({counts} tokens)"


def budget_axis(axes: Axes, budgets: Sequence[int], scale: Scale, counts: BudgetCounts) -> None:
    last = budgets[-1]
    positive = [budget for budget in budgets if budget > 0]
    if scale == "log2" and positive:
        first = positive[0]
        # Below the first positive budget the axis is linear, so that 0 has a place.
        axes.set_xscale("symlog", base=2, linthresh=first, linscale=1)
        ticks = [0, *_powers(first, last)]
        axes.minorticks_off()
    else:
        ticks = _binary_steps(last)
    axes.set_xticks(ticks, [tokens(tick) for tick in ticks])
    axes.set_xlim(budgets[0] if budgets[0] < last else 0, max(last, 1))
    axes.set_xlabel(budget_label(counts))


def log2_axis(axes: Axes, values: Sequence[float], label: str) -> None:
    """Tokens on a log2 axis that holds all `values`, with powers of two as ticks; 0 has a place of its own,
    an octave below the smallest."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log2(min(positive))), math.ceil(math.log2(max(positive)))
    high = max(high, low + 1)
    axes.set_xscale("log", base=2)
    axes.minorticks_off()
    ticks = [2.0**exponent for exponent in range(low, high + 1, -(-(high - low + 1) // 7))]
    if any(value == 0 for value in values):
        axes.set_xscale("symlog", base=2, linthresh=2.0**low, linscale=1)
        axes.minorticks_off()
        axes.set_xticks([0, *ticks], ["0", *(tokens(tick) for tick in ticks)])
        axes.set_xlim(0, 2.0**high)
    else:
        axes.set_xticks(ticks, [tokens(tick) for tick in ticks])
        axes.set_xlim(2.0**low, 2.0**high)
    axes.set_xlabel(label)


def _powers(first: int, last: int) -> list[int]:
    """At most seven powers of two from `first` on."""
    start = math.ceil(math.log2(first))
    exponents = range(start, max(start, math.floor(math.log2(last))) + 1)
    return [2**exponent for exponent in exponents[:: -(-len(exponents) // 7)]]


def _binary_steps(last: int) -> list[int]:
    """0 and up to six multiples of a power of two (or of half of one more) below `last`."""
    step = 2 ** max(0, math.ceil(math.log2(max(last, 1) / 6)))
    return list(range(0, last + 1, step))


def round_steps(last: int) -> list[int]:
    """0 and at most six multiples of 1, 2 or 5 times a power of ten up to `last`."""
    magnitude = 10 ** max(0, math.floor(math.log10(max(last, 1) / 6)))
    step = next(s * magnitude for s in (1, 2, 5, 10) if last / (s * magnitude) <= 6)
    return list(range(0, last + 1, step))


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers: half a trace means nothing."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def tokens(value: float, _position: float = 0) -> str:
    return f"{value:,.0f}"


def accuracy_axis(axes: Axes) -> None:
    top = axes.get_ylim()[1]
    axes.set_ylim(0, 100 if top > 92 else max(top, 10))
    axes.set_ylabel("Accuracy (%)")


def budget_columns(axes: Axes, budgets: Sequence[int], counts: BudgetCounts) -> None:
    """Budgets as columns of equal width; at most six are named."""
    places = range(0, len(budgets), -(-len(budgets) // 6))
    axes.set_xticks(list(places), [tokens(budgets[place]) for place in places])
    axes.set_xlim(-0.5, len(budgets) - 0.5)
    axes.set_xlabel(f"{budget_label(counts)}, not to scale")


_CHARACTERS = 60
"""Of the legend's size, over one column."""
_LINE = 0.14
"""Inches that a line of the legend takes."""
_HANDLE = 8
"""Characters that an entry's line takes up."""


def shared_legend(figure: Figure) -> None:
    """One legend above all panels, every label once; the figure grows by its lines beyond the first two."""
    entries = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if not entries:
        return
    # Two entries fit side by side over one column; a long one needs the line for itself.
    room = int(_CHARACTERS * figure.get_figwidth() / style.COLUMN_WIDTH)
    longest = max(len(label) for label in entries)
    columns = max(1, room // (longest + _HANDLE))
    # A label that is wider than the picture goes on in the next line.
    labels = ["\n".join(textwrap.wrap(label, room - _HANDLE)) for label in entries]
    columns = min(columns, len(entries))
    lines = sum(
        max(label.count("\n") + 1 for label in labels[i : i + columns])
        for i in range(0, len(labels), columns)
    )
    figure.set_figheight(figure.get_figheight() + _LINE * max(0, lines - 2))
    figure.legend(
        list(entries.values()),
        labels,
        loc="outside upper center",
        ncols=columns,
    )
