"""pass@k: the chance that one of k samples is right, at every budget.

Source: Chen et al., "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374), section 2.1:
the unbiased estimate from n >= k samples of which c are right, 1 - C(n - c, k) / C(n, k).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError

Array = NDArray[np.float64]


def pass_at_k(correct: Array, ks: Sequence[int], task: str = "") -> Array:
    """Shape (P, K, B): each problem's pass@k at each budget, 0..1.

    `correct`, shape (P, n, B), 0 or 1. Raises InputError for a k outside 1..n.
    """
    samples = correct.shape[1]
    for k in ks:
        if not 1 <= k <= samples:
            raise InputError(
                f"pass@{k} cannot be estimated: {task or 'the run'} has {samples} samples per problem; "
                f"choose 1 to {samples}"
            )
    right = correct.sum(axis=1).astype(np.int64)
    return np.stack([chances(samples, k)[right] for k in ks], axis=1)


def chances(samples: int, k: int) -> Array:
    """Shape (n + 1,): pass@k of a problem with c = 0..n right samples of n, each the nearest float."""
    return np.array([float(1 - Fraction(comb(samples - c, k), comb(samples, k))) for c in range(samples + 1)])
