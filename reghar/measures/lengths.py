"""Length tables as papers print them: compression, token reduction, share of thinking, and their averages.

Two averages of a ratio differ: the ratio of the averages weighs long tasks and long responses more, the
mean of the ratios weighs all alike. Every function names the one that it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def compression(length: float, baseline: float) -> float:
    """Mean length as a fraction of the baseline's (PLP, arXiv 2506.10446, tables 1 and 2); below 1 is
    shorter. NaN where the baseline's is 0."""
    return length / baseline if baseline > 0 else np.nan


def token_reduction(length: float, baseline: float) -> float:
    """Tokens saved against the baseline in %, 100 x (1 - compression); negative where it is longer."""
    return 100.0 * (1.0 - compression(length, baseline))


@dataclass(frozen=True, kw_only=True)
class AverageCompression:
    """Compression over several tasks, both ways."""

    ratio_of_averages: float
    """Of the mean of the lengths over the mean of the baseline's: long tasks weigh more."""
    mean_of_ratios: float
    """The plain mean of the tasks' compressions."""


def average_compression(lengths: Sequence[float], baselines: Sequence[float]) -> AverageCompression:
    """Both averages of the tasks' mean lengths, (T,) each, against the baseline's."""
    ratios = [compression(one, base) for one, base in zip(lengths, baselines, strict=True)]
    return AverageCompression(
        ratio_of_averages=compression(float(np.mean(lengths)), float(np.mean(baselines))),
        mean_of_ratios=float(np.mean(ratios)),
    )


def thinking_share(thinking: ArrayLike, response: ArrayLike) -> float:
    """Sum of thinking tokens / sum of response tokens, 0..1; NaN where there are no tokens."""
    total = np.asarray(response, dtype=np.float64).sum()
    return float(np.asarray(thinking, dtype=np.float64).sum() / total) if total > 0 else np.nan


def mean_thinking_share(thinking: ArrayLike, response: ArrayLike) -> float:
    """Mean over responses of thinking tokens / response tokens, 0..1: short responses weigh as much as
    long ones. Empty responses have no share and are left out; NaN where all are empty."""
    tokens = np.asarray(response, dtype=np.float64)
    some = tokens > 0
    if not some.any():
        return np.nan
    return float((np.asarray(thinking, dtype=np.float64)[some] / tokens[some]).mean())


def thirds(baseline_accuracy: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    """Indices of the hardest, the middle and the easiest third of the problems, by the baseline's
    accuracy (P,); of equal ones the earlier counts as harder, and a remainder goes to the harder thirds."""
    order = np.argsort(np.asarray(baseline_accuracy, dtype=np.float64), kind="stable")
    hard, middle, easy = np.array_split(order, 3)
    return hard, middle, easy


def average_pooled(values: Sequence[float], problems: Sequence[int], samples: Sequence[int]) -> float:
    """The mean of the tasks' values (T,) weighted by problems x samples: every graded answer weighs the
    same (as the averages that CRE-SFT prints), where the plain mean weighs every task the same."""
    weights = np.asarray(problems, dtype=np.float64) * np.asarray(samples, dtype=np.float64)
    return float(np.asarray(values, dtype=np.float64) @ weights / weights.sum())


def pooled_length(lengths: Sequence[ArrayLike]) -> float:
    """The mean over all balanced problems of all tasks at once (REG table 2), tokens; `lengths` holds an
    array of problem means a task. NaN where there is no problem."""
    together = np.concatenate([np.asarray(one, dtype=np.float64).ravel() for one in lengths])
    return float(together.mean()) if together.size else np.nan
