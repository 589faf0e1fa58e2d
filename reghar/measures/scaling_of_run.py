"""Ways to spend more on a problem, from a stored run, with intervals: what `reghar scaling RUN` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading import AnswerKind, GraderPool
from reghar.measures.best_of_n import best_of_n
from reghar.measures.bootstrap import problem_expansion
from reghar.measures.clusters import Clusters
from reghar.measures.draws import Draws, drawn_values
from reghar.measures.pass_at_k import pass_at_k
from reghar.measures.sample_scores import ScoreKey, scores_of
from reghar.measures.scaling import Rejection, majority, rejection
from reghar.measures.votes import answer_groups
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Which ways to spend more on a problem are looked at; None leaves one out."""

    limits: Sequence[int] | None = None
    """Tokens: rejection sampling until a trace has at most so many."""
    votes: Sequence[int] | None = None
    """Samples that a majority vote is taken over; where there are scores, also of weighted votes and
    best-of-N, for which None means the powers of two up to n."""
    passes: Sequence[int] | None = None
    """Samples of which one must be right."""
    scores: Mapping[ScoreKey, float] | None = None
    """A verifier's, 0..1."""


def stored_scaling(run: StoredRun, spending: Spending, *, seed: int = 0) -> dict[str, Any]:
    """What more tokens per problem buy, by task, as plain JSON values.

    Tokens are what the run's budgets count. Intervals are 95% bootstrap intervals over problems.
    Raises InputError for an incomplete run, for more samples than it has, and for missing scores.
    """
    run.require_complete()
    result: dict[str, Any] = {"model": run.name, "digest": run.digest, "seed": seed, "tasks": {}}
    with GraderPool() as pool:
        result["tasks"] = {task: _task(run, task, spending, pool, seed) for task in run.tasks}
    return result


def _task(run: StoredRun, task: str, spending: Spending, pool: GraderPool, seed: int) -> dict[str, Any]:
    outcomes = run.outcomes(task)
    counted, limits = outcomes.counted, spending.limits
    one: dict[str, Any] = {"notes": []}
    if limits is not None:
        one["rejection"] = _rejection_rows(rejection(counted, outcomes.full_correct, limits), seed, outcomes)
        cut = int((~outcomes.finished).sum())
        if cut and max(limits) >= run.protocol.sampling.max_tokens:
            one["notes"].append(
                f"{cut} traces were cut at max_tokens: limits from there on accept them as they are"
            )
    spent = np.minimum(counted[:, :, None], outcomes.budgets).mean(axis=(0, 1))
    if spending.passes is not None:
        credit = pass_at_k(outcomes.correct, spending.passes, task)
        one["sequential"] = _rows(
            (1,), outcomes.budgets, outcomes.correct.mean(axis=1)[:, None], spent, seed, outcomes
        )
        one["pass"] = _rows(spending.passes, outcomes.budgets, credit, spent, seed, outcomes)
    if spending.votes is None and spending.scores is None:
        return one
    is_code = run.protocol.tasks[task].kind == AnswerKind.CODE
    # Of programs with scores the best of k is known, which needs no groups.
    groups = None if is_code and spending.scores is not None else answer_groups(run, task, pool)
    if groups is None:
        one["notes"].append("programs cannot be voted on: there is only the best of k")
    elif spending.votes is not None:
        voted = majority(groups, counted, outcomes.budgets, spending.votes, seed=seed, task=task)
        one["majority"] = _rows(voted.votes, voted.budgets, voted.by_problem, spent, seed, outcomes)
    if spending.scores is not None and any(key[0] == task for key in spending.scores):
        one |= _scored(run, task, groups, spending, seed)
    elif spending.scores is not None:
        one["notes"].append("the file of scores has none of this task")
    return one


def _scored(
    run: StoredRun, task: str, groups: NDArray[np.int64] | None, spending: Spending, seed: int
) -> dict[str, Any]:
    """Best-of-N, and weighted votes where there are groups, at the budgets where every sample has a score."""
    outcomes = run.outcomes(task)
    scores = scores_of(run, task, spending.scores or {})
    known = ~np.isnan(scores).any(axis=(0, 1))
    if not known.any():
        raise InputError(
            f"task {task}: no budget has a score for every sample: score the answers of one whole budget "
            "(and with budget null those of traces that ended before it)"
        )
    budgets = outcomes.budgets[known]
    spent = np.minimum(outcomes.counted[:, :, None], budgets).mean(axis=(0, 1))
    samples = outcomes.full.shape[1]
    ks = spending.votes or [1 << power for power in range(samples.bit_length())]
    best = best_of_n(outcomes.correct[:, :, known], scores[:, :, known], ks, task)
    chosen = {"best": _rows(ks, budgets, best, spent, seed, outcomes)}
    if groups is None:
        return chosen
    voted = majority(
        groups[:, :, known],
        outcomes.counted,
        budgets,
        ks,
        seed=seed,
        task=task,
        weights=scores[:, :, known],
    )
    return {"weighted": _rows(ks, budgets, voted.by_problem, spent, seed, outcomes), **chosen}


def _rejection_rows(result: Rejection, seed: int, outcomes: TaskOutcomes) -> list[dict[str, Any]]:
    held = ~np.isnan(result.by_problem)
    means = np.concatenate([np.where(held, result.by_problem, 0.0), held.astype(np.float64)], axis=1)
    low, high = _intervals(means, seed, outcomes, ratio=True)
    return [
        {
            "limit": int(limit),
            "accuracy": _finite(result.accuracy[i]),
            "low": None if low is None else _finite(low[i]),
            "high": None if high is None else _finite(high[i]),
            "coverage": float(result.coverage[i]),
            "expected_tries": _finite(result.tries[i]),
            "expected_tries_pooled": _finite(result.tries_pooled[i]),
            "accuracy_over_all": float(result.accuracy_over_all[i]),
            "tokens": _finite(result.tokens[i]),
        }
        for i, limit in enumerate(result.limits)
    ]


def _rows(
    samples: Sequence[int],
    budgets: NDArray[np.int64],
    by_problem: Array,
    spent: Array,
    seed: int,
    outcomes: TaskOutcomes,
) -> list[dict[str, Any]]:
    """A row per (k samples, budget) from credits of shape (P, K, B).

    `spent`, shape (B,): mean tokens of one sample.
    """
    problems = len(by_problem)
    accuracy = by_problem.mean(axis=0)
    low, high = _intervals(by_problem.reshape(problems, -1), seed, outcomes, ratio=False)
    rows = []
    for i, k in enumerate(samples):
        for j, budget in enumerate(budgets):
            cell = i * len(budgets) + j
            rows.append(
                {
                    "samples": k,
                    "budget": int(budget),
                    "accuracy": float(accuracy[i, j]),
                    "low": None if low is None else _finite(low[cell]),
                    "high": None if high is None else _finite(high[cell]),
                    "tokens": float(k * spent[j]),
                }
            )
    return rows


def _intervals(
    means: Array, seed: int, outcomes: TaskOutcomes, *, ratio: bool
) -> tuple[Array, Array] | tuple[None, None]:
    """95% intervals over problems, (P, K) to (K,) each; of the first half over the second for a ratio."""
    clusters = Clusters.of(outcomes)
    if clusters.count < 2:
        return None, None
    draws = drawn_values(means, seed=seed, task=outcomes.task, clusters=clusters)
    replicates, values = draws.means, means.mean(axis=0)
    behind = np.full(means.shape[1], clusters.count)
    if ratio:
        half = means.shape[1] // 2
        top, bottom = replicates[:, :half], replicates[:, half:]
        behind = (clusters.sums(means[:, half:]) > 0).sum(axis=0)
        replicates = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
        values = values[:half] / np.where(values[half:] > 0, values[half:], np.nan)
    ends = [
        _interval(_behind(draws, int(behind[k])), float(values[k]), replicates[:, k])
        for k in range(len(values))
    ]
    low, high = np.array(ends).T
    return low, high


def _behind(draws: Draws, units: int) -> Draws | None:
    """The draws of a figure that so many problems, or clusters, have; None for fewer than 2."""
    return replace(draws, expansion=problem_expansion(units), units=units) if units > 1 else None


def _interval(draws: Draws | None, share: float, replicates: Array) -> tuple[float, float]:
    """NaN without draws. A replicate that drew none of the problems is left out."""
    if draws is None:
        return np.nan, np.nan
    return draws.estimate(share, replicates[~np.isnan(replicates)], share=True).interval()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
