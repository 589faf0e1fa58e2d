"""Best-of-N: of k samples, the answer of the one that a verifier scores highest."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError

Array = NDArray[np.float64]


def best_of_n(correct: Array, scores: Array, ks: Sequence[int], task: str = "") -> Array:
    """Shape (P, K, B): each problem's accuracy, exact over all ways to choose k of the n samples.

    `correct`, 0 or 1, and `scores`, both of shape (P, n, B). Samples of equal score share the credit, so
    equal scores give the plain mean. Raises InputError for a k outside 1..n.
    """
    samples = correct.shape[1]
    for k in ks:
        if not 1 <= k <= samples:
            raise InputError(
                f"the best of {k} samples is impossible: {task or 'the run'} has {samples} samples per "
                f"problem; choose 1 to {samples}"
            )
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(_shared_credit(correct, scores), order, axis=1)
    weights = np.array([_first_chances(samples, k) for k in ks])
    found: Array = np.einsum("kn,pnb->pkb", weights, ranked)
    return np.clip(found, 0.0, 1.0)


def _shared_credit(correct: Array, scores: Array) -> Array:
    """Shape (P, n, B): the mean correctness of all samples of the same score."""
    same = scores[:, :, None, :] == scores[:, None, :, :]
    right = (same * correct[:, None, :, :]).sum(axis=2)
    credit: Array = right / same.sum(axis=2)
    return credit


def _first_chances(samples: int, k: int) -> list[float]:
    """The chance that a sample is the best of k drawn ones, by its rank: C(n - rank - 1, k - 1) / C(n, k)."""
    return [comb(samples - rank - 1, k - 1) / comb(samples, k) for rank in range(samples)]
