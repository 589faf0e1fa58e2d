"""Which few budgets stand for a whole grid: exponential, linear, and the oracle (REG section 5.2).

A choice is judged by the trapezoid estimate of the frontier's area that it gives. 0 and L_max always
belong to the sum. A chosen budget that the frontier does not hold is read by linear interpolation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from reghar.budgets import L_MAX, L_MIN, exponential, linear
from reghar.errors import InputError
from reghar.measures.reg import area


def up_to(budgets: ArrayLike, accuracy: ArrayLike, l_max: int = L_MAX) -> tuple[list[int], list[float]]:
    """The points of a frontier on budgets <= `l_max`, which must be one of its budgets, as must 0.

    Raises InputError otherwise: the full sum would not be the frontier's area up to `l_max`.
    """
    points = [
        (int(budget), float(value))
        for budget, value in zip(np.asarray(budgets), np.asarray(accuracy), strict=True)
        if budget <= l_max
    ]
    if not points or points[0][0] != 0 or points[-1][0] != l_max or l_max == 0:
        raise InputError(f"budget selection needs a frontier that holds the budgets 0 and {l_max}")
    return [budget for budget, _ in points], [value for _, value in points]


def approximation_error(chosen: Sequence[int], budgets: Sequence[int], accuracy: Sequence[float]) -> float:
    """|estimate - area| / area of the frontier, a fraction, from `chosen` budgets alone.

    `chosen` includes both ends of `budgets`. Raises InputError for a frontier without area.
    """
    full = float(area(budgets, accuracy))
    if full == 0:
        raise InputError("the frontier is 0 everywhere: no relative error of its area exists")
    estimate = float(area(chosen, np.interp(chosen, budgets, accuracy)))
    return abs(estimate - full) / full


def oracle(n: int, budgets: Sequence[int], accuracy: Sequence[float], l_min: int = L_MIN) -> tuple[int, ...]:
    """0, `n` budgets and L_max, each added greedily where the estimate comes closest to the full sum.

    Candidates are the frontier's budgets from `l_min` on; of equally good ones the smaller is taken.
    Raises InputError where there are fewer than `n`.
    """
    candidates = [budget for budget in budgets[1:-1] if budget >= l_min]
    if n > len(candidates):
        raise InputError(
            f"the frontier has {len(candidates)} budgets between {l_min} and the end; {n} asked for"
        )
    chosen = [budgets[0], budgets[-1]]
    for _ in range(n):
        rest = (budget for budget in candidates if budget not in chosen)
        best = min(rest, key=lambda budget: approximation_error(sorted([*chosen, budget]), budgets, accuracy))
        chosen = sorted([*chosen, best])
    return tuple(chosen)


def selection_errors(
    budgets: Sequence[int], accuracy: Sequence[float], *, up_to_n: int = 10, l_min: int = L_MIN
) -> dict[str, list[float]]:
    """`exp`, `linear`, `oracle` to their approximation errors for N = 1..`up_to_n`, fractions."""
    l_max = budgets[-1]
    errors: dict[str, list[float]] = {"exp": [], "linear": [], "oracle": []}
    for n in range(1, up_to_n + 1):
        grids = {
            "exp": exponential(n, l_min, l_max),
            "linear": linear(n, l_min, l_max),
            "oracle": oracle(n, budgets, accuracy, l_min),
        }
        for name, chosen in grids.items():
            errors[name].append(approximation_error(chosen, budgets, accuracy))
    return errors
