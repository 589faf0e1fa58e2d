"""The oracle allocation: what is saved where each problem has a budget of its own.

(definitions: Allocation of thinking) The oracle knows every problem's mean curve. It takes the curves'
upper concave hulls and spends on their steepest segments first, which is the best that any allocation of
so many tokens can do. One that sees the noise of the samples it is read on looks too good: hulls are
built from one half of the samples and read on the other, both ways.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reghar.errors import InputError
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.clusters import Clusters
from reghar.measures.draws import Draws, drawn_values
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]
_NEGLIGIBLE = 1e-12
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Every problem's mean curve: P problems, B budgets."""

    tokens: Array
    """Shape (P, B): mean tokens spent, min(|y|, L); never falls from budget to budget."""
    accuracy: Array
    """Shape (P, B): mean accuracy, 0..1."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The order in which an oracle spends: segments of the problems' hulls, the steepest first."""

    problem: NDArray[np.int64]
    """Shape (S,): whose budget is raised."""
    start: NDArray[np.int64]
    """Shape (S,): index of the budget that it is raised from."""
    stop: NDArray[np.int64]
    """Shape (S,): index of the budget that it is raised to."""
    rising: int
    """How many of them, the first ones, do not lose accuracy."""


@dataclass(frozen=True, kw_only=True)
class Regret:
    """What the best allocation saves against one budget for all problems, by budget."""

    tokens: float
    """Mean tokens per response that one budget for all spends and the oracle, at equal accuracy, does not.
    NaN where the oracle never reaches that accuracy on the samples that it is read on."""
    low: float
    """95% interval over problems; NaN where there is none."""
    high: float
    oracle_accuracy: float
    """What the oracle reaches with at most as many tokens as the budget spends, 0..1."""


def curves_of(outcomes: TaskOutcomes, samples: slice) -> Curves:
    """The mean curves over some of the samples, in the tokens that the budgets count."""
    spent = np.minimum(outcomes.counted[:, samples, None], outcomes.budgets)
    return Curves(
        tokens=spent.mean(axis=1, dtype=np.float64), accuracy=outcomes.correct[:, samples].mean(axis=1)
    )


def concave_hull(tokens: ArrayLike, accuracy: ArrayLike) -> list[int]:
    """Indices of the upper concave hull's vertices of the points (B,), from the first budget to the last.

    Of budgets that spend equally the most accurate counts. The hull's falling part belongs to it.
    """
    x, y = np.asarray(tokens, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    hull: list[int] = []
    for point in range(len(x)):
        if hull and x[point] - x[hull[-1]] <= _NEGLIGIBLE:
            if y[point] <= y[hull[-1]]:
                continue
            hull.pop()
        while len(hull) >= 2 and not _turns_down(x, y, hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(x: Array, y: Array, first: int, middle: int, last: int) -> bool:
    before = (y[middle] - y[first]) * (x[last] - x[middle])
    after = (y[last] - y[middle]) * (x[middle] - x[first])
    return bool(before > after + _NEGLIGIBLE)


def allocate(curves: Curves) -> tuple[NDArray[np.int64], Steps]:
    """(Every problem's first budget, shape (P,); the steps from there, the steepest first)."""
    first, rows, slopes = [], [], []
    for problem, (tokens, accuracy) in enumerate(zip(curves.tokens, curves.accuracy, strict=True)):
        hull = concave_hull(tokens, accuracy)
        first.append(hull[0])
        for start, stop in itertools.pairwise(hull):
            rows.append((problem, start, stop))
            slopes.append((accuracy[stop] - accuracy[start]) / (tokens[stop] - tokens[start]))
    steepness = np.asarray(slopes, dtype=np.float64)
    order = np.argsort(-steepness, kind="stable")
    table = np.asarray(rows, dtype=np.int64).reshape(-1, 3)[order]
    steps = Steps(
        problem=table[:, 0], start=table[:, 1], stop=table[:, 2], rising=int((steepness >= 0).sum())
    )
    return np.asarray(first, dtype=np.int64), steps


class Oracle:
    """An allocation built from some curves and read on others: a path of mean tokens and accuracy."""

    def __init__(self, built: Curves, read: Curves) -> None:
        """`built`: the curves whose hulls say where to spend; `read`: what that gives."""
        first, self._steps = allocate(built)
        problems = np.arange(len(first))
        self._first = np.stack([read.tokens[problems, first], read.accuracy[problems, first]], axis=1)
        owner, start, stop = self._steps.problem, self._steps.start, self._steps.stop
        self._tokens = read.tokens[owner, stop] - read.tokens[owner, start]
        self._accuracy = read.accuracy[owner, stop] - read.accuracy[owner, start]
        self._read = read

    def path(self, weights: Array) -> tuple[Array, Array]:
        """Mean (tokens, accuracy) after every step, (R, S + 1) each, of problems weighted (R, P)."""
        weights = weights / weights.sum(axis=1, keepdims=True)
        drawn = weights[:, self._steps.problem]
        first = weights @ self._first
        steps = [np.cumsum(drawn * gains, axis=1) for gains in (self._tokens, self._accuracy)]
        tokens, accuracy = (
            np.concatenate([first[:, [i]], first[:, [i]] + step], axis=1) for i, step in enumerate(steps)
        )
        return tokens, accuracy

    def regret(self, weights: Array) -> Array:
        """Shape (R, B): tokens saved at the accuracy of every budget; NaN where it is never reached."""
        tokens, accuracy = self.path(weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
        spent, reached = weights @ self._read.tokens, weights @ self._read.accuracy
        highest = np.maximum.accumulate(accuracy, axis=1)
        return np.stack(
            [
                budget_tokens - _first_tokens(path, best, levels)
                for budget_tokens, path, best, levels in zip(spent, tokens, highest, reached, strict=True)
            ]
        )

    def accuracy_at_budgets(self) -> Array:
        """Shape (B,): the accuracy reached with at most the mean tokens that every budget spends."""
        tokens, accuracy = self.path(np.ones((1, len(self._first))))
        # Where more tokens lose accuracy they are not spent.
        last = self._steps.rising + 1
        reached: Array = np.interp(self._read.tokens.mean(axis=0), tokens[0, :last], accuracy[0, :last])
        return reached


def _first_tokens(tokens: Array, highest: Array, levels: Array) -> Array:
    """The tokens at which a path, (S + 1,), first reaches the levels (B,), linearly; NaN where never."""
    levels = levels - _NEGLIGIBLE * 1e3  # sums in another order
    at = np.searchsorted(highest, levels)
    known = np.minimum(at, len(tokens) - 1)
    before = np.maximum(known - 1, 0)
    rise = highest[known] - highest[before]
    part = np.where(rise > 0, (levels - highest[before]) / np.where(rise > 0, rise, 1.0), 1.0)
    crossed = tokens[before] + np.clip(part, 0.0, 1.0) * (tokens[known] - tokens[before])
    return np.where(at < len(tokens), crossed, np.nan)


def regret_of(outcomes: TaskOutcomes, *, seed: int = 0, replicates: int = REPLICATES) -> list[Regret]:
    """The cross-fitted regret of every budget, with intervals over problems drawn with their hulls fixed.

    The halves are the samples of even and of odd number. Raises InputError for fewer than 2 samples
    a problem and for an incomplete run.
    """
    problems, samples = outcomes.full.shape
    if samples < 2:
        raise InputError(
            f"{outcomes.task}: an oracle is built from one half of the samples and read on the other: "
            "1 sample per problem is too few, run with --samples 2 or more"
        )
    outcomes.require_complete()
    even, odd = (curves_of(outcomes, slice(start, None, 2)) for start in (0, 1))
    oracles = [Oracle(even, odd), Oracle(odd, even)]
    whole = np.ones((1, problems))
    values = np.mean([oracle.regret(whole)[0] for oracle in oracles], axis=0)
    accuracy = np.mean([oracle.accuracy_at_budgets() for oracle in oracles], axis=0)
    clusters = Clusters.of(outcomes)
    draws = _drawn(oracles, clusters, outcomes.task, seed, replicates) if clusters.count > 1 else None
    return [
        Regret(
            tokens=float(values[column]),
            low=ends[0],
            high=ends[1],
            oracle_accuracy=float(accuracy[column]),
        )
        for column in range(len(values))
        for ends in [_interval(float(values[column]), draws, column)]
    ]


def _drawn(oracles: list[Oracle], clusters: Clusters, task: str, seed: int, replicates: int) -> Draws:
    """Means of shape (R, B)."""
    # The draws of all other figures: how often each problem is drawn, as means of unit vectors.
    problems = len(clusters.index)
    draws = drawn_values(np.eye(problems), seed=seed, task=task, replicates=replicates, clusters=clusters)
    counts = draws.means
    step = max(1, _CHUNK_CELLS // (problems * 32))
    rows = [counts[at : at + step] for at in range(0, replicates, step)]
    means = [np.mean([oracle.regret(part) for oracle in oracles], axis=0) for part in rows]
    return replace(draws, means=np.concatenate(means))


def _interval(value: float, draws: Draws | None, column: int) -> tuple[float, float]:
    if draws is None or math.isnan(value) or np.isnan(draws.means[:, column]).all():
        return math.nan, math.nan
    return draws.estimate(value, draws.means[:, column], difference=True).interval()
