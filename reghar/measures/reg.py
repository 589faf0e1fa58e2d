"""REG and what is read beside it: pure functions on arrays of budgets (tokens) and accuracies (0..1).

Source: Gao et al., "How Far Are We from Optimal Reasoning Efficiency?" (arXiv 2506.07104), "REG" below.
Curves may carry leading dimensions, (..., B), so that bootstrap replicates go through the same code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.errors import InputError

Array = NDArray[np.float64]

SHORT = 1024
"""Budgets up to here are reported on their own, tokens (definitions: REG)."""
RESOLUTION = 1e-9
"""A figure or a difference below this, in its own unit, is 0: it is what rounding leaves."""
ROUNDING = 1e-12
"""Means of the same answers differ by less than this in another order of problems: not a rise or a fall."""
LEVELS = (25, 50, 75, 90)
"""Percent of the frontier's top accuracy whose budgets are reported."""


@dataclass(frozen=True, kw_only=True)
class RegResult:
    """The reasoning efficiency gap of one curve, in tokens; lower is better, negative beyond the frontier."""

    total: float
    up_to_1024: float | None
    """The part on budgets <= 1,024; None where the grid starts at or after 1,024."""
    positive: float
    """The integral of max(gap, 0), at least 0."""
    negative: float
    """The integral of min(gap, 0), at most 0; positive + negative = total."""
    notes: tuple[str, ...]
    """What a reader has to know: a grid without 0, another grid than the frontier's."""

    def figures(self) -> dict[str, float | None]:
        """The same, named as in reports."""
        return {
            "reg": self.total,
            "reg_up_to_1024": self.up_to_1024,
            "reg_positive": self.positive,
            "reg_negative": self.negative,
        }


def area(budgets: ArrayLike, values: ArrayLike) -> Array:
    """The trapezoid integral of `values` (..., B) over `budgets` (B,), in tokens x unit; shape (...)."""
    x, y = _floats(budgets), _floats(values)
    # A sum in numpy's own fixed order: a product of matrices rounds otherwise on another processor.
    segments: Array = (y[..., 1:] + y[..., :-1]) / 2 * np.diff(x)
    return np.asarray(segments.sum(axis=-1))


def positive_area(budgets: ArrayLike, values: ArrayLike) -> Array:
    """The exact integral of max(v, 0) of the piecewise linear v = `values` (..., B); shape (...).

    A segment whose ends differ in sign contributes the triangle on its positive side.
    """
    x, y = _floats(budgets), _floats(values)
    left, right = y[..., :-1], y[..., 1:]
    top, bottom = np.maximum(left, right), np.minimum(left, right)
    crossing = (top > 0) & (bottom < 0)
    span = np.where(crossing, top - bottom, 1.0)
    mean = np.where(crossing, top * (top / span) / 2, np.maximum((left + right) / 2, 0.0))
    return np.asarray((mean * np.diff(x)).sum(axis=-1))


def area_up_to(budgets: ArrayLike, values: ArrayLike, end: int) -> Array | None:
    """The trapezoid integral over budgets <= `end`, where a point is interpolated; None if there are none."""
    x, y = _floats(budgets), _floats(values)
    if x[0] >= end:
        return None
    if x[-1] <= end:
        return area(x, y)
    after = int(np.searchsorted(x, end, side="left"))
    share = (end - x[after - 1]) / (x[after] - x[after - 1])
    at_end = y[..., after - 1] + share * (y[..., after] - y[..., after - 1])
    kept = np.concatenate([y[..., :after], at_end[..., None]], axis=-1)
    return area(np.append(x[:after], end), kept)


def frontier_at(budgets: ArrayLike, frontier_budgets: ArrayLike, frontier_accuracy: ArrayLike) -> Array:
    """The frontier's accuracy at `budgets` (B,), linearly interpolated between its own.

    Raises InputError for a budget outside the frontier's: nothing is extrapolated (definitions: REG).
    """
    x, known = _floats(budgets), _floats(frontier_budgets)
    if x[-1] > known[-1]:
        raise InputError(
            f"budget {x[-1]:.0f} is beyond the frontier's last, {known[-1]:.0f}: "
            f"use budgets up to {known[-1]:.0f} or another frontier"
        )
    if x[0] < known[0]:
        raise InputError(
            f"budget {x[0]:.0f} is before the frontier's first, {known[0]:.0f}: "
            f"use budgets from {known[0]:.0f} on or another frontier"
        )
    return np.interp(x, known, _floats(frontier_accuracy))


def reg(
    budgets: ArrayLike, accuracy: ArrayLike, frontier_budgets: ArrayLike, frontier_accuracy: ArrayLike
) -> RegResult:
    """REG = integral over [0, L_max] of frontier - curve, trapezoid on the curve's grid (REG eq. 6, 8, 9).

    L_max is the curve's last budget. Raises InputError where the curve has fewer than two budgets or
    leaves the frontier's range, for budgets that do not increase, and for accuracies that are not finite.
    """
    x, y = checked_curve("the curve", budgets, accuracy)
    known, best = checked_curve("the frontier", frontier_budgets, frontier_accuracy)
    if x.size < 2:
        raise InputError(f"REG needs at least two budgets to integrate over; the curve has {x.size}")
    parts = {name: float(part) for name, part in gap_areas(x, frontier_at(x, known, best) - y).items()}
    return RegResult(
        total=parts["reg"],
        up_to_1024=None if np.isnan(parts["reg_up_to_1024"]) else parts["reg_up_to_1024"],
        positive=parts["reg_positive"],
        negative=parts["reg_negative"],
        notes=grid_notes(x, known),
    )


def gap_areas(budgets: ArrayLike, gap: ArrayLike) -> dict[str, Array]:
    """REG and its parts of gaps (..., B) at `budgets` (B,): named as in reports, (...) each, in tokens.

    `reg_up_to_1024` is NaN where the grid starts at or after 1,024.
    """
    total, positive = area(budgets, gap), positive_area(budgets, gap)
    short = area_up_to(budgets, gap, SHORT)
    return {
        "reg": total,
        "reg_up_to_1024": np.full_like(total, np.nan) if short is None else short,
        "reg_positive": positive,
        "reg_negative": total - positive,
    }


def checked_curve(name: str, budgets: ArrayLike, accuracy: ArrayLike) -> tuple[Array, Array]:
    """Both as floats. Raises InputError, calling the curve `name`, for anything that is no curve."""
    x, y = _floats(budgets), _floats(accuracy)
    if x.ndim != 1 or y.shape != x.shape or x.size == 0:
        raise InputError(f"{name} has {x.size} budgets and {y.size} accuracies: give one for each")
    if not (np.isfinite(x).all() and (x >= 0).all()):
        raise InputError(
            f"{name} has the budget {x[~(np.isfinite(x) & (x >= 0))][0]:g}: give tokens from 0 on"
        )
    if (np.diff(x) <= 0).any():
        after = int(np.argmax(np.diff(x) <= 0)) + 1
        raise InputError(
            f"{name} has budgets that do not increase: {x[after]:g} follows {x[after - 1]:g}; sort them"
        )
    if not np.isfinite(y).all():
        at = x[~np.isfinite(y)][0]
        raise InputError(f"{name} has no finite accuracy at budget {at:g}: give fractions, 0 to 1")
    return x, y


def grid_notes(budgets: ArrayLike, frontier_budgets: ArrayLike) -> tuple[str, ...]:
    """What the grid does to the figure: notes for the report, empty on the frontier's own grid."""
    x, known = _floats(budgets), _floats(frontier_budgets)
    own = known[known <= x[-1]]
    notes = []
    if x[0] > 0:
        notes.append(f"the grid has no budget 0: integrated from {x[0]:.0f} on")
    if not np.array_equal(x, own):
        between = int((~np.isin(x, own)).sum())
        notes.append(
            f"the {x.size} budgets are not the frontier's {own.size} up to {x[-1]:.0f}; the frontier is "
            f"interpolated linearly at {between} of them; REG is not comparable with a run on another grid"
        )
    return tuple(notes)


def tokens_to_reach(budgets: ArrayLike, accuracy: ArrayLike, level: float) -> Array:
    """The first budget, linearly interpolated, at which the curve (..., B) reaches `level`; shape (...).

    Infinite where it never does.
    """
    x, y = _floats(budgets), _floats(accuracy)
    reached = y >= level - ROUNDING
    first = np.argmax(reached, axis=-1)
    before = np.maximum(first - 1, 0)
    y_first = np.take_along_axis(y, first[..., None], axis=-1)[..., 0]
    y_before = np.take_along_axis(y, before[..., None], axis=-1)[..., 0]
    rise = np.where(y_first > y_before, y_first - y_before, 1.0)
    crossing = x[before] + (x[first] - x[before]) * np.clip((level - y_before) / rise, 0.0, 1.0)
    crossing = np.where(first == 0, x[0], crossing)
    return np.where(reached.any(axis=-1), crossing, np.inf)


def frontier_top(frontier_budgets: ArrayLike, frontier_accuracy: ArrayLike, l_max: float) -> float:
    """The frontier's maximum accuracy on [0, `l_max`], at its own budgets and, interpolated, at `l_max`."""
    x, y = _floats(frontier_budgets), _floats(frontier_accuracy)
    return float(max(y[x <= l_max].max(initial=0.0), np.interp(l_max, x, y)))


def wasted_tokens(budgets: ArrayLike, accuracy: ArrayLike, frontier: ArrayLike) -> float | None:
    """Mean over accuracies a in 0..1 of tokens(curve, a) - tokens(frontier, a), in tokens (REG section 4).

    `accuracy` and `frontier` have shape (B,), on the same budgets. Tokens(., a) is the budget at which a
    is reached, L_max where it never is. Equals REG where both are non-decreasing; None where either falls.
    """
    x, y, best = _floats(budgets), _floats(accuracy), _floats(frontier)
    if (np.diff(y) < -ROUNDING).any() or (np.diff(best) < -ROUNDING).any():
        return None
    edges = np.unique(np.concatenate([[0.0, 1.0], y, best]))
    middles = (edges[1:] + edges[:-1]) / 2

    def tokens(curve: Array) -> Array:
        reached = np.array([float(tokens_to_reach(x, curve, level)) for level in middles])
        clipped: Array = np.minimum(reached, x[-1])
        return clipped

    return float(((tokens(y) - tokens(best)) * np.diff(edges)).sum())


@dataclass(frozen=True, kw_only=True)
class Change:
    """A figure against its baseline."""

    absolute: float
    """Candidate minus baseline, in the figure's unit."""
    relative: float | None
    """(candidate - baseline) / baseline as a fraction; None where the baseline is not above `RESOLUTION`."""


def change(candidate: float, baseline: float) -> Change:
    """The change against a baseline; for the average row give the two averages (REG table 1)."""
    absolute = candidate - baseline
    if abs(absolute) < RESOLUTION:
        absolute = 0.0
    return Change(absolute=absolute, relative=absolute / baseline if baseline > RESOLUTION else None)


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
