"""What became of the answers: outcomes by budget, lengths of responses, accuracy of every problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reghar.measures.curves import problem_means, stored_traces
from reghar.protocol import BudgetCounts
from reghar.report.figures import style
from reghar.report.figures.axes import (
    budget_columns,
    round_steps,
    tokens,
    whole_numbers,
)
from reghar.report.schema import TaskReport
from reghar.store.outcomes import MISSING, TaskOutcomes
from reghar.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
