"""Rewards of forced answers at several budgets: REO-RL and Q-Spec (arXiv 2506.07104, section 5).

`rights` (k, N + 1) holds the verdicts of k responses cut at the budgets L_1 < .. < L_N and at L_max.
All raise InputError for budgets that are not increasing or not below L_max, and for other shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.errors import InputError
from reghar.rewards.advantages import grpo
from reghar.rewards.inputs import Array, correctness

Coefficients = Literal["trapezoid", "one"]
Credit = Literal["causal", "paper"]
RewardEquation = Literal[9, 13]


def reo_rl_coefficients(budgets: Sequence[float], l_max: float) -> Array:
    """c_1..c_{N+1}, tokens, shape (N + 1,): c_i = (L_{i+1} - L_{i-1}) / 2 with L_0 = 0 and L_{N+1} = L_max,
    c_{N+1} = (L_max - L_N) / 2: the weights that the trapezoid rule gives the area under a curve
    (arXiv 2506.07104, eq. 9; the budget 0 itself is left out). Without budgets, c_1 = L_max / 2.
    """
    points = [0.0, *_checked(budgets, l_max), float(l_max)]
    inner = [(after - before) / 2 for before, after in zip(points, points[2:], strict=False)]
    return np.array([*inner, (points[-1] - points[-2]) / 2])


def reo_rl(
    rights: ArrayLike,
    *,
    budgets: Sequence[float],
    l_max: float,
    normalise: bool = False,
    coefficients: Coefficients = "trapezoid",
) -> Array:
    """Sum of c_i x right_i over L_1..L_N and L_max, shape (k,), in tokens (0..sum of c_i).

    `coefficients="one"` is the paper's ablation, every c_i = 1. `normalise` divides by the sum of c_i,
    so that all right is 1.
    """
    weights = _weights(budgets, l_max, coefficients)
    right = _rights(rights, len(weights))
    value = right @ weights
    return np.asarray(value / weights.sum() if normalise else value)


def q_spec(
    rights: ArrayLike,
    *,
    minimal_budget: float,
    l_max: float,
    equation: RewardEquation = 9,
    normalise: bool = False,
) -> Array:
    """REO-RL with one budget, the question's own minimal L^x; `rights` (k, 2) at L^x and at L_max.

    The paper's eq. 9 gives the first coefficient as L_max / 2 (default), its eq. 13 as L^x / 2.
    """
    if equation not in (9, 13):
        raise InputError(f"equation is {equation}: Q-Spec's first coefficient is that of equation 9 or 13")
    weights = reo_rl_coefficients([minimal_budget], l_max)
    if equation == 13:
        weights[0] = minimal_budget / 2
    value = _rights(rights, 2) @ weights
    return np.asarray(value / weights.sum() if normalise else value)


def segment_advantages(
    rights: ArrayLike,
    *,
    budgets: Sequence[float],
    l_max: float,
    credit: Credit = "causal",
    coefficients: Coefficients = "trapezoid",
) -> Array:
    """REO-RL's advantage of every segment of tokens (L_{s-1}, L_s], s = 1..N+1, shape (k, N + 1).

    The return of index i is the sum over j >= i of c_j right_j, normalised within the group for each i
    as GRPO does (0 where all are equal). `causal` gives segment s the return from s on: what its tokens
    can still change. `paper` is the printed rule: tokens L_i..L_{i+1} get the return that begins at
    L_i, those before L_1 nothing.
    """
    if credit not in ("causal", "paper"):
        raise InputError(f"credit is {credit!r}: give causal or paper")
    weights = _weights(budgets, l_max, coefficients)
    right = _rights(rights, len(weights))
    returns = np.cumsum((right * weights)[:, ::-1], axis=1)[:, ::-1]
    normalised = np.stack([grpo(column) for column in returns.T], axis=1)
    if credit == "causal":
        return normalised
    return np.concatenate([np.zeros((len(right), 1)), normalised[:, :-1]], axis=1)


def _weights(budgets: Sequence[float], l_max: float, coefficients: Coefficients) -> Array:
    if coefficients not in ("trapezoid", "one"):
        raise InputError(f"coefficients is {coefficients!r}: give trapezoid or one")
    weights = reo_rl_coefficients(budgets, l_max)
    return np.ones_like(weights) if coefficients == "one" else weights


def _checked(budgets: Sequence[float], l_max: float) -> list[float]:
    values = [float(budget) for budget in budgets]
    if not np.isfinite([*values, l_max]).all() or l_max <= 0:
        raise InputError(f"budgets {values} up to {l_max}: budgets are token counts above 0")
    for before, after in itertools.pairwise([0.0, *values]):
        if after <= before:
            raise InputError(f"budgets are not increasing from 0: {after:g} follows {before:g}; sort them")
    if values and values[-1] >= l_max:
        raise InputError(f"budget {values[-1]:g} is not below l_max {l_max:g}, which is always counted")
    return values


def _rights(rights: ArrayLike, columns: int) -> NDArray[np.float64]:
    right = correctness(rights).astype(np.float64)
    if right.ndim != 2 or right.shape[1] != columns:
        raise InputError(
            f"verdicts of shape {right.shape}: give one row per response and {columns} columns, "
            "one per budget and the last for l_max"
        )
    return right
