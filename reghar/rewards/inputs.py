"""What every reward refuses, in one line: unequal lengths, NaN, verdicts that are no verdicts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.errors import InputError

Array = NDArray[np.float64]


def group(lengths: ArrayLike, correct: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """The k responses to one prompt: tokens (k,), and which are right (k,). Raises InputError."""
    tokens = _numbers(lengths, "lengths")
    right = correctness(correct)
    if tokens.ndim != 1 or tokens.shape != right.shape:
        raise InputError(
            f"lengths of shape {tokens.shape} and correct of shape {right.shape}: "
            "give one of each per response"
        )
    if (tokens < 0).any():
        raise InputError(f"length {tokens.min():g} is negative: lengths are token counts")
    return tokens, right


def correctness(correct: ArrayLike) -> NDArray[np.bool_]:
    """An array of 0 and 1 (or False and True) as booleans. Raises InputError."""
    values = _numbers(correct, "correct")
    if not np.isin(values, (0.0, 1.0)).all():
        bad = values[~np.isin(values, (0.0, 1.0))].flat[0]
        raise InputError(f"correct holds {bad:g}: a verdict is 0 or 1")
    return np.asarray(values == 1.0)


def rewards(values: ArrayLike) -> Array:
    """The rewards of one group (k,), k >= 2: an advantage compares responses. Raises InputError."""
    array = _numbers(values, "rewards")
    if array.ndim != 1 or array.size < 2:
        raise InputError(f"rewards of shape {array.shape}: an advantage needs a group of at least 2")
    return array


def positive(name: str, value: float) -> float:
    """A number > 0. Raises InputError."""
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"{name} is {value}: give a number above 0")
    return value


def not_negative(name: str, value: float) -> float:
    """A number >= 0. Raises InputError."""
    if not math.isfinite(value) or value < 0:
        raise InputError(f"{name} is {value}: give a number of at least 0")
    return value


def _numbers(values: ArrayLike, name: str) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is not an array of numbers: {error}") from error
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity: every response needs a number")
    return array
