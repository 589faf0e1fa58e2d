"""The picture of a budget to serve with: accuracy over tokens (definitions: The budget to serve with)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.measures.recommendation import recommended_row
from reghar.report.figures import picture, style
from reghar.report.figures.axes import accuracy_axis, tokens
from reghar.terminal import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^", "D", "v", "P")


def write_serving_figure(runs: dict[str, dict[str, Any]], choice: str | None, stem: Path) -> list[Path]:
    """Writes `stem`.png and `stem`.svg: recommendations by label, and which of them is to be taken."""
    stem = stem.with_suffix("") if stem.suffix in (".png", ".svg") else stem
    return picture.save([("", partial(draw_serving, runs=runs, choice=choice))], stem)


def draw_serving(axes: Axes, runs: dict[str, dict[str, Any]], choice: str | None) -> None:
    """A line for each run over its budgets' mean tokens; the recommendation and unbounded thinking marked."""
    spent: list[float] = []
    for i, (label, result) in enumerate(runs.items()):
        colour, line = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        rows = result["budgets"]  # in their order: a small budget may cost more, where answers run on
        axes.plot(
            [row["tokens"] for row in rows],
            [100 * row["accuracy"] for row in rows],
            color=colour,
            linestyle=line,
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=3,
            label=shortened(printable(label), 30),
            clip_on=False,
        )
        spent += [row["tokens"] for row in rows]
    whole = next(iter(runs.values()))["unbounded"]
    spent.append(whole["tokens"])
    axes.plot(
        [whole["tokens"]],
        [100 * whole["accuracy"]],
        color=style.REFERENCE,
        marker="X",
        linestyle="none",
        markersize=7,
        label="unbounded thinking",
        clip_on=False,
    )
    row = None if choice is None else recommended_row(runs[choice])
    if row is not None:
        axes.plot(
            [row["tokens"]],
            [100 * row["accuracy"]],
            marker="o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=style.FRONTIER,
            linestyle="none",
            label=f"recommended: {row['budget']:,} tokens",
            clip_on=False,
        )
    accuracy_axis(axes)
    axes.set_xlim(0, 1.04 * max(spent, default=1.0) or 1.0)
    axes.set_xlabel("Mean tokens written")
    axes.xaxis.set_major_formatter(tokens)
    _price_axis(axes, whole)


def _price_axis(axes: Axes, whole: dict[str, Any]) -> None:
    """The price of 1,000 responses above: what is written changes it, the prompt does not."""
    if whole["price_per_1000"] is None or not whole["tokens"]:
        return
    prompt, each = whole["price_of_prompts"], whole["price_of_token"]
    if not each:
        return
    from matplotlib.ticker import MaxNLocator

    above = axes.secondary_xaxis(
        "top", functions=(lambda n: prompt + n * each, lambda price: (price - prompt) / each)
    )
    above.xaxis.set_major_locator(MaxNLocator(4))
    above.set_xlabel("Price of 1,000 responses")
