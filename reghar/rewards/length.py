"""Rewards of whole responses by correctness and length: pure functions over one group.

`lengths` (k,) are response tokens without EOS, `correct` (k,) the grader's verdicts; all return (k,).
All raise InputError for arrays of unequal lengths, NaN and settings out of range.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reghar.errors import InputError
from reghar.rewards.inputs import Array, group, not_negative, positive


def plp(lengths: ArrayLike, correct: ArrayLike, *, alpha: float, gamma: float = 0.5) -> Array:
    """Powered length penalty: correct x (1 + alpha / len^gamma) (arXiv 2506.10446, section 3).

    A bonus for short right responses that fades with length, so that hard problems keep their tokens.
    alpha >= 0 (paper: 2 for the 1.5B model, 4 for the 7B), gamma > 0. 1..1 + alpha where right, else 0.
    A right response of 0 tokens is refused: its bonus would be infinite.
    """
    tokens, right = group(lengths, correct)
    not_negative("alpha", alpha)
    positive("gamma", gamma)
    if (right & (tokens == 0)).any():
        raise InputError("a correct response of 0 tokens has no powered length penalty: count its tokens")
    bonus = alpha / np.where(right, tokens, 1.0) ** gamma
    return np.where(right, 1.0 + bonus, 0.0)


def length_group_norm(lengths: ArrayLike, correct: ArrayLike, *, alpha: float) -> Array:
    """correct x (1 - alpha x sigmoid((len - mean) / std)), as "Training Language Models to Reason
    Efficiently" (arXiv 2502.04463).

    Mean and population standard deviation are those of the correct responses alone; where these are
    all equally long, or there is one, the sigmoid is 0.5. alpha in [0, 1). 1 - alpha..1 where right.
    """
    tokens, right = group(lengths, correct)
    if not 0 <= alpha < 1:
        raise InputError(f"alpha is {alpha}: length_group_norm takes 0 <= alpha < 1, or right can pay less")
    if not right.any():
        return np.zeros_like(tokens)
    mean, std = tokens[right].mean(), tokens[right].std()
    flat = np.ptp(tokens[right]) == 0
    score = np.zeros_like(tokens) if flat else (np.where(right, tokens, mean) - mean) / std
    return np.where(right, 1.0 - alpha * _sigmoid(score), 0.0)


def length_harmonizing(
    lengths: ArrayLike, correct: ArrayLike, *, ref_length: float, ref_accuracy: float, gamma: float
) -> Array:
    """ref_length / len - 1 + gamma x (correct - ref_accuracy), as O1-Pruner (arXiv 2501.12570).

    `ref_length` > 0 (tokens) and `ref_accuracy` (0..1) are the reference model's means on this problem;
    gamma > 0 is printed nowhere and has no default. A response of 0 tokens is refused.
    """
    tokens, right = group(lengths, correct)
    positive("ref_length", ref_length)
    positive("gamma", gamma)
    if not 0 <= ref_accuracy <= 1:
        raise InputError(f"ref_accuracy is {ref_accuracy}: give a fraction, 0..1")
    if (tokens == 0).any():
        raise InputError("a response of 0 tokens has no length_harmonizing reward: count its tokens")
    return np.asarray(ref_length / tokens - 1.0 + gamma * (right - ref_accuracy))


def token_budget(lengths: ArrayLike, correct: ArrayLike, *, limit: float) -> Array:
    """1 where a response is correct and has at most `limit` > 0 tokens, else 0."""
    tokens, right = group(lengths, correct)
    positive("limit", limit)
    return (right & (tokens <= limit)).astype(np.float64)


def _sigmoid(values: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))
