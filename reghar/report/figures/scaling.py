"""Sequential and parallel scaling on one axis: accuracy over the tokens spent per problem."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.report.figures import picture, style
from reghar.report.figures.axes import accuracy_axis, log2_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


PARALLEL_LABELS = {"majority": "majority", "weighted": "weighted vote", "best": "best of k", "pass": "pass@k"}
"""Ways to make one answer of k samples, as the result names them, and their labels."""


def write_scaling_figures(result: dict[str, Any], folder: Path) -> list[Path]:
    """Draws what `reghar.measures.scaling_of_run` found; a panel per task.

    `scaling.png` and `.svg` have votes and rejection sampling, `parallel.png` and `.svg` all ways to use
    k samples against larger budgets of one, where pass@k was asked for.
    """
    tasks = result["tasks"].items()
    files = []
    if any("majority" in one or "rejection" in one for _, one in tasks):
        files += picture.save(
            [(task, partial(draw_scaling, task=one)) for task, one in tasks], folder / "scaling"
        )
    compared = [(task, partial(draw_parallel, task=one)) for task, one in tasks if "pass" in one]
    if compared:
        files += picture.save(compared, folder / "parallel")
    return files


def draw_parallel(axes: Axes, task: dict[str, Any]) -> None:
    """Sequential scaling, one sample at growing budgets, and parallel scaling, more samples at the
    largest budget, on one axis (s1, arXiv 2501.19393, figures 4 and 7)."""
    lines = [("1 sample, larger budgets", task["sequential"])]
    lines += [
        (label, _at_largest_budget(task[name])) for name, label in PARALLEL_LABELS.items() if name in task
    ]
    spent: list[float] = []
    for i, (label, rows) in enumerate(lines):
        spent += _plot(axes, i, label, rows)
    log2_axis(axes, spent, "Tokens spent per problem")
    accuracy_axis(axes)


def _plot(axes: Axes, number: int, label: str, rows: list[dict[str, Any]]) -> list[float]:
    """The `number`-th line of a figure, accuracy over the tokens that cost some; returns these tokens."""
    rows = [row for row in rows if row["tokens"] > 0]
    tokens = [row["tokens"] for row in rows]
    colour, line = style.MODEL_STYLES[number % len(style.MODEL_STYLES)]
    axes.plot(
        tokens,
        [100 * row["accuracy"] for row in rows],
        color=colour,
        linestyle=line,
        marker="o",
        label=label,
        clip_on=False,
    )
    return tokens


def _at_largest_budget(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    largest = max(row["budget"] for row in rows)
    return [row for row in rows if row["budget"] == largest]


def draw_scaling(axes: Axes, task: dict[str, Any]) -> None:
    """A line for every number of votes, its budgets from left to right; rejection sampling beside them."""
    spent: list[float] = []
    votes = sorted({row["samples"] for row in task.get("majority", ())})
    for i, k in enumerate(votes):
        rows = [row for row in task["majority"] if row["samples"] == k]
        spent += _plot(axes, i, f"majority of {k}" if k > 1 else "1 sample", rows)
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
