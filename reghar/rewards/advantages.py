"""From the rewards of one group (k,) to advantages (k,): what a trainer multiplies log-probabilities by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reghar.rewards.inputs import Array, rewards

_EQUAL = 1e-9
"""Difference up to which rewards count as equal, absolute below 1 and relative above."""


def rloo(values: ArrayLike) -> Array:
    """Each reward minus the mean of the others (RLOO, arXiv 2402.14740). Keeps the rewards' scale.

    Raises InputError for fewer than 2 rewards and for NaN.
    """
    array = rewards(values)
    k = array.size
    return np.asarray((array - array.mean()) * k / (k - 1))


def grpo(values: ArrayLike) -> Array:
    """(reward - mean) / std of the group (GRPO, arXiv 2402.03300); 0 throughout where all are equal.

    The standard deviation is the sample's (k - 1), as TRL takes it; TRL adds 1e-4 to it. Whatever the
    rewards' scale, the result's is 1: a length bonus of 0.01 among right responses becomes as large as
    the difference of right and wrong. Raises InputError for fewer than 2 rewards and for NaN.
    """
    array = rewards(values)
    if np.ptp(array) <= _EQUAL * max(1.0, np.abs(array).max()):  # rounding must not become an advantage
        return np.zeros_like(array)
    return np.asarray((array - array.mean()) / array.std(ddof=1))
