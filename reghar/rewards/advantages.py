"""From the rewards of one group (k,) to advantages (k,): what a trainer multiplies log-probabilities by."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reghar.rewards.inputs import Array, rewards


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
    if np.ptp(array) == 0:  # before any rounding of the mean
        return np.zeros_like(array)
    return np.asarray((array - array.mean()) / array.std(ddof=1))
