"""Sequential and parallel scaling on one axis: accuracy over the tokens spent per problem."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.report.figures import curves, style
from reghar.report.figures.axes import accuracy_axis, log2_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_scaling_figure(result: dict[str, Any], folder: Path) -> list[Path]:
    """Draws what `reghar.stored_scaling` found into `scaling.png` and `.svg`; a panel a task."""
    panels = [(task, partial(scaling, task=one)) for task, one in result["tasks"].items()]
    return curves.save(panels, folder / "scaling")


def scaling(axes: Axes, task: dict[str, Any]) -> None:
    """A line for every number of votes, its budgets from left to right; rejection sampling beside them."""
    spent: list[float] = []
    votes = sorted({row["samples"] for row in task.get("majority", ())})
    for i, k in enumerate(votes):
        rows = [row for row in task["majority"] if row["samples"] == k and row["tokens"] > 0]
        colour, line = style.MODELS[i % len(style.MODELS)]
        axes.plot(
            [row["tokens"] for row in rows],
            [100 * row["accuracy"] for row in rows],
            color=colour,
            linestyle=line,
            marker="o",
            label=f"majority of {k}" if k > 1 else "1 sample",
            clip_on=False,
        )
        spent += [row["tokens"] for row in rows]
    tried = [
        row for row in task.get("rejection", ()) if row["expected_tries"] and row["accuracy"] is not None
    ]
    if tried:
        axes.plot(
            [row["tokens"] for row in tried],
            [100 * row["accuracy"] for row in tried],
            color=style.FRONTIER,
            linestyle="none",
            marker="x",
            label="rejection sampling",
            clip_on=False,
        )
        spent += [row["tokens"] for row in tried]
    log2_axis(axes, spent, "Tokens spent per problem")
    accuracy_axis(axes)
