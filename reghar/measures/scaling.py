"""Rejection sampling and majority vote over stored traces (definitions: Scaling from stored samples).

Sequential scaling (a larger budget) and parallel scaling (more samples) come out on one axis:
tokens spent per problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.seeds import derive_seed

Array = NDArray[np.float64]

SUBSETS = 1_000
"""Subsets of k samples that a majority vote is averaged over, unless there is only one way to choose."""
ABSTAINS = -1
"""Group of an answer that gives no vote."""
RIGHT = 0
"""Group of the correct answers."""


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Sampling until a trace has at most L tokens: of every limit, shape (L,) each."""

    limits: NDArray[np.int64]
    """Tokens."""
    accuracy: Array
    """0..1: mean over the problems that have an accepted sample; NaN where none has."""
    coverage: Array
    """0..1: the share of problems that have an accepted sample."""
    accuracy_over_all: Array
    """0..1: mean over all problems, one without an accepted sample counted as wrong."""
    tries: Array
    """Expected tries 1 / P(|y| <= L), P within each problem: mean over covered problems; infinite if none."""
    tries_pooled: Array
    """s1's 1 / P over all stored traces of all problems together; infinite where none is accepted."""
    tokens: Array
    """Expected tokens per problem: its tries times its mean of min(|y|, L), accepted or not, since a try
    is stopped at L; mean over covered problems."""
    by_problem: Array
    """Shape (P, L): accuracy of each problem's accepted samples; NaN where it has none."""


def rejection(length: NDArray[np.int64], correct: Array, limits: Sequence[int]) -> Rejection:
    """Rejection sampling on stored traces (s1 section 5.2).

    `length`, shape (P, n): tokens |y|; `correct`, shape (P, n): the whole trace's own answer, 0 or 1.
    A trace that was cut at `max_tokens` has `max_tokens` tokens: a limit from there on accepts it, as
    the plain accuracy counts it.
    """
    bounds = np.asarray(limits, dtype=np.int64)
    accepted = length[:, :, None] <= bounds
    count = accepted.sum(axis=1)
    right = (accepted * correct[:, :, None]).sum(axis=1)
    some = count > 0
    by_problem = np.where(some, right / np.maximum(count, 1), np.nan)
    held = some.sum(axis=0)
    tries = np.where(some, length.shape[1] / np.maximum(count, 1), 0.0)
    spent = tries * np.minimum(length[:, :, None], bounds).mean(axis=1)
    kept = np.where(some, by_problem, 0.0).sum(axis=0)
    with np.errstate(divide="ignore"):
        pooled = 1 / accepted.mean(axis=(0, 1))
    covered = np.maximum(held, 1)
    return Rejection(
        limits=bounds,
        accuracy=np.where(held > 0, kept / covered, np.nan),
        coverage=some.mean(axis=0),
        accuracy_over_all=kept / len(length),
        tries=np.where(held > 0, tries.sum(axis=0) / covered, np.inf),
        tries_pooled=pooled,
        tokens=np.where(held > 0, spent.sum(axis=0) / covered, np.inf),
        by_problem=by_problem,
    )


@dataclass(frozen=True, kw_only=True)
class Majority:
    """Majority vote over k samples, at every budget."""

    votes: tuple[int, ...]
    """The numbers k of samples."""
    budgets: NDArray[np.int64]
    """Shape (B,), tokens."""
    accuracy: Array
    """Shape (K, B), 0..1."""
    tokens: Array
    """Shape (K, B): spent per problem, k times the mean of min(|y|, L)."""
    by_problem: Array
    """Shape (P, K, B): each problem's credit."""


def majority(
    groups: NDArray[np.int64],
    length: NDArray[np.int64],
    budgets: NDArray[np.int64],
    votes: Sequence[int],
    *,
    seed: int = 0,
    task: str = "",
    weights: Array | None = None,
) -> Majority:
    """The vote of k of n samples, averaged over the ways to choose them.

    `groups`, shape (P, n, B): the group of equal answers that each sample's answer belongs to, `RIGHT`
    for the correct ones, `ABSTAINS` where there is none. The largest group wins; groups that tie share
    the credit, so the vote is worth 1/t where the right one is among t of them, and 0 where nobody
    votes. Exact for k = 1 and k = n, else the mean over `SUBSETS` subsets, whose draw depends on
    (seed, task, n, k) alone. `length`, shape (P, n), tokens. Raises InputError for a k outside 1..n.

    `weights`, shape (P, n, B), 0..1: the group with the largest sum of weights wins, of equal sums the
    larger group; so equal weights give the plain vote. They are rounded to steps of 2**-40 for up to 63
    samples (a quarter of that fineness each time n doubles), in which sums are exact.
    """
    problems, samples, _ = groups.shape
    # A whole number per ballot: sums of weights decide, counts where they are equal. All sums stay below
    # 2**53, so that neither their order nor the machine can make or break a tie.
    ballots = np.ones(groups.shape)
    if weights is not None:
        ballots += np.rint(weights * 2.0 ** (52 - 2 * samples.bit_length())) * (samples + 1)
    for k in votes:
        if not 1 <= k <= samples:
            raise InputError(
                f"a majority of {k} samples is impossible: {task or 'the run'} has {samples} samples per "
                f"problem; choose 1 to {samples}"
            )
    drawn = [_subsets(samples, k, derive_seed(seed, task, samples, k)) for k in votes]
    credit = np.stack([_credits(groups[p], ballots[p], drawn) for p in range(problems)])
    spent = np.minimum(length[:, :, None], budgets).mean(axis=(0, 1))
    return Majority(
        votes=tuple(votes),
        budgets=budgets,
        accuracy=credit.mean(axis=0),
        tokens=np.array(votes, dtype=np.float64)[:, None] * spent,
        by_problem=credit,
    )


def _subsets(samples: int, k: int, seed: int) -> Array:
    """Shape (S, n): one row per subset of k samples, 1 where it holds a sample."""
    if k == samples:
        return np.ones((1, samples))
    if k == 1:
        return np.eye(samples)
    order = np.random.default_rng(seed).random((SUBSETS, samples)).argsort(axis=1)
    return (order < k).astype(np.float64)


def _credits(groups: NDArray[np.int64], ballots: Array, subsets: Sequence[Array]) -> Array:
    """Shape (K, B): the mean credit of one problem's groups and ballots, shape (n, B) each."""
    credit = np.zeros((len(subsets), groups.shape[1]))
    for budget, (column, worth) in enumerate(zip(groups.T, ballots.T, strict=True)):
        present = np.unique(column[column != ABSTAINS])
        if RIGHT not in present:
            continue
        given = np.where(column[:, None] == present, worth[:, None], 0.0)
        right = int(np.searchsorted(present, RIGHT))
        for row, chosen in enumerate(subsets):
            counts = chosen @ given
            most = counts.max(axis=1)
            wins = (counts[:, right] == most) & (most > 0)
            ties = (counts == most[:, None]).sum(axis=1)
            credit[row, budget] = float(np.mean(wins / ties))
    return credit
