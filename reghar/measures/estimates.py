"""Measures as functions of means over problems: what each trace contributes, and what comes of the means.

The point estimate (leading shape ()) and the bootstrap replicates (R,) go through the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.frontiers.frontier import TaskFrontier
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures import reg, s1
from reghar.measures.curves import Curve
from reghar.measures.reference import Reference
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

_PARTS = ("ungraded_full", "ungraded_at_l_max", "length_correct")
"""Statistics that are no measure themselves, only parts of one."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of the statistics per trace is what; K columns.

    Raises InputError for a setting that is no budget of the run.
    """

    budgets: NDArray[np.int64]
    settings: tuple[int, ...]
    curve: slice
    used: slice
    """Thinking tokens under each setting."""
    first: int
    """Column of the first of the remaining statistics, in the order of `NAMES`."""
    thinks: bool
    """False where no trace has a thinking block: then the response counts as the thinking."""
    opened: bool
    """True where prompts left a thinking block open."""

    NAMES = (
        "accuracy_full",
        "ungraded_full",
        "ungraded_at_l_max",
        "mean_length",
        "length_correct",
        "mean_thinking_length",
        "share_unfinished",
        "share_looped",
        "share_thinking",
        "share_thinking_unclosed",
        "share_answered_inside",
    )

    @classmethod
    def of(cls, outcomes: TaskOutcomes) -> Columns:
        """The columns of a task."""
        grid = [int(budget) for budget in outcomes.budgets]
        chosen = outcomes.forced_settings
        for setting in chosen:
            if setting not in grid:
                raise InputError(f"setting {setting} is no budget of the run: choose among {grid}")
        b, a = len(grid), len(chosen)
        return cls(
            budgets=outcomes.budgets,
            settings=chosen,
            curve=slice(0, b),
            used=slice(b, b + a),
            first=b + a,
            thinks=bool(outcomes.thought.any()),
            opened=bool(outcomes.thinking_opened.any()),
        )

    def column(self, name: str) -> int:
        """Where the statistic `name` of `NAMES` stands."""
        return self.first + self.NAMES.index(name)

    def statistics(self, outcomes: TaskOutcomes) -> Array:
        """What each trace contributes to every mean, shape (P, n, K)."""
        thinking = outcomes.thinking_length if self.thinks else outcomes.length
        ungraded = [OUTCOMES.index(Outcome.GRADER_TIMEOUT), OUTCOMES.index(Outcome.GRADER_ERROR)]
        rest = (
            outcomes.full_correct,
            np.isin(outcomes.full, ungraded),
            np.isin(outcomes.outcome[..., -1], ungraded),
            outcomes.length,
            outcomes.length * outcomes.full_correct,
            outcomes.thinking_length,
            ~outcomes.finished,
            outcomes.looped,
            outcomes.thought,
            outcomes.thought & ~outcomes.thinking_closed,
            outcomes.finished & outcomes.thinking_opened & ~outcomes.thinking_closed,
        )
        used = np.minimum(thinking[..., None], np.array(self.settings, dtype=np.int64))
        return np.concatenate([outcomes.correct, used, np.stack(rest, axis=-1)], axis=-1, dtype=np.float64)

    def notes(self, curve: Curve, frontier: TaskFrontier | None) -> list[str]:
        """What a reader has to know about measures that are missing or read otherwise."""
        notes = []
        if frontier is not None and curve.budgets.size < 2:
            notes.append("no REG: it needs at least two budgets")
        if not self.thinks and self.settings:
            notes.append("no trace has a thinking block: Scaling counts response tokens as thinking tokens")
        return notes


def figures_of(columns: Columns, means: Array, reference: Reference | None) -> dict[str, Array]:
    """Every measure that subtracts no frontier, from means over problems, (..., K) to (...) each.

    NaN or infinite where there is none; `gap_figures` has those that do.
    """
    curve = means[..., columns.curve]
    named = {name: means[..., columns.column(name)] for name in columns.NAMES}
    correct = named["accuracy_full"]
    figures: dict[str, Array] = {
        "area": reg.area(columns.budgets, curve),
        "accuracy_full": correct,
        "accuracy_full_if_ungraded_right": correct + named["ungraded_full"],
        "accuracy_at_l_max": curve[..., -1],
        "accuracy_at_l_max_if_ungraded_right": curve[..., -1] + named["ungraded_at_l_max"],
        "mean_length_correct": np.where(
            correct > 0, named["length_correct"] / np.where(correct > 0, correct, 1.0), np.nan
        ),
    }
    figures |= {name: named[name] for name in columns.NAMES if name not in _PARTS}
    if columns.thinks:
        length = named["mean_length"]
        figures["thinking_share"] = np.where(
            length > 0, named["mean_thinking_length"] / np.where(length > 0, length, 1.0), np.nan
        )
    if not columns.opened:
        del figures["share_answered_inside"]
    if columns.settings:
        figures |= _control_figures(columns, means)
    if reference is not None:
        figures |= _reach_figures(columns, curve, reference)
    return figures


def _control_figures(columns: Columns, means: Array) -> dict[str, Array]:
    """s1's metrics of `force`: setting L allows at most L thinking tokens (definitions: s1's measures).

    t_a is the mean over problems and samples of min(thinking tokens, L); f_a is J(L) in percent.
    """
    used = means[..., columns.used]
    at = np.searchsorted(columns.budgets, columns.settings)
    percent = 100 * means[..., columns.curve][..., at]
    obeyed = s1.within(used, np.nan, np.array(columns.settings) * (1 + reg.ROUNDING))
    return s1.figures(used, percent, obeyed.astype(np.float64))


def _reach_figures(columns: Columns, curve: Array, reference: Reference) -> dict[str, Array]:
    """Budgets at which the curve and the frontier first reach a share of the frontier's top."""
    figures: dict[str, Array] = {}
    for level, frontier_tokens in reference.budgets_to.items():
        wanted = reference.top * level / 100
        reached = reg.tokens_to_reach(columns.budgets, curve, wanted)
        nothing_to_reach = wanted <= 0
        figures[f"tokens_to_{level}"] = np.full_like(reached, np.nan) if nothing_to_reach else reached
        figures[f"frontier_tokens_to_{level}"] = np.full_like(
            reached, np.nan if nothing_to_reach else frontier_tokens
        )
    return figures


def gap_figures(columns: Columns, curve: Array, best: Array, reference: Reference) -> dict[str, Array]:
    """REG and its parts of curves (..., B) against frontiers `best` (..., B), (...) each; none of one budget.

    The cross-fitted frontier stands a fixed area below the plain maximum, in replicates as well.
    """
    if columns.budgets.size < 2:
        return {}
    figures = reg.gap_areas(columns.budgets, best - curve)
    if reference.cross_fitted is not None:
        bias = reg.area(columns.budgets, reference.accuracy - reference.cross_fitted)
        figures["reg_cross_fitted"] = figures["reg"] - bias
    return figures
