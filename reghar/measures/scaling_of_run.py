"""Rejection sampling and majority vote of a stored run, with intervals: what `reghar scaling RUN` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading import GraderPool
from reghar.measures import bootstrap
from reghar.measures.scaling import Majority, Rejection, majority, rejection
from reghar.measures.votes import answer_groups
from reghar.store import StoredRun

Array = NDArray[np.float64]


def stored_scaling(
    run: StoredRun, *, limits: Sequence[int] | None, votes: Sequence[int] | None, seed: int = 0
) -> dict[str, Any]:
    """Both ways to spend more on a problem, by task, as plain JSON values; None leaves one out.

    Tokens are what the run's budgets count. Intervals are 95% bootstrap intervals over problems.
    Raises InputError for an incomplete run and for more samples than it has.
    """
    if not run.complete:
        raise InputError(
            f"run {str(run.path)!r} is incomplete; finish it with `reghar run ... --resume` first"
        )
    result: dict[str, Any] = {"model": run.model, "digest": run.digest, "seed": seed, "tasks": {}}
    with GraderPool() as pool:
        for task in run.tasks:
            outcomes = run.outcomes(task)
            counted = outcomes.counted
            one: dict[str, Any] = {"notes": []}
            if limits is not None:
                one["rejection"] = _rejection_rows(
                    rejection(counted, outcomes.full_correct, limits), seed, task
                )
                cut = int((~outcomes.finished).sum())
                if cut and max(limits) >= run.protocol["sampling"]["max_tokens"]:
                    one["notes"].append(
                        f"{cut} traces were cut at max_tokens: limits from there on accept them as they are"
                    )
            if votes is not None:
                groups = answer_groups(run, task, pool)
                voted = majority(groups, counted, outcomes.budgets, votes, seed=seed, task=task)
                one["majority"] = _majority_rows(voted, seed, task)
            result["tasks"][task] = one
    return result


def _rejection_rows(result: Rejection, seed: int, task: str) -> list[dict[str, Any]]:
    held = ~np.isnan(result.by_problem)
    means = np.concatenate([np.where(held, result.by_problem, 0.0), held.astype(np.float64)], axis=1)
    low, high = _intervals(means, seed, task, ratio=True)
    return [
        {
            "limit": int(limit),
            "accuracy": _finite(result.accuracy[i]),
            "low": None if low is None else _finite(low[i]),
            "high": None if high is None else _finite(high[i]),
            "coverage": float(result.coverage[i]),
            "expected_tries": _finite(result.tries[i]),
            "tokens": _finite(result.tokens[i]),
        }
        for i, limit in enumerate(result.limits)
    ]


def _majority_rows(result: Majority, seed: int, task: str) -> list[dict[str, Any]]:
    problems = len(result.by_problem)
    low, high = _intervals(result.by_problem.reshape(problems, -1), seed, task, ratio=False)
    rows = []
    for i, k in enumerate(result.votes):
        for j, budget in enumerate(result.budgets):
            cell = i * len(result.budgets) + j
            rows.append(
                {
                    "samples": k,
                    "budget": int(budget),
                    "accuracy": float(result.accuracy[i, j]),
                    "low": None if low is None else _finite(low[cell]),
                    "high": None if high is None else _finite(high[cell]),
                    "tokens": float(result.tokens[i, j]),
                }
            )
    return rows


def _intervals(means: Array, seed: int, task: str, *, ratio: bool) -> tuple[Array, Array] | tuple[None, None]:
    """95% intervals over problems, (P, K) to (K,) each; of the first half over the second for a ratio."""
    if len(means) < 2:
        return None, None
    draws = bootstrap.bootstrap_problems(means, seed=seed, task=task)
    if ratio:
        half = draws.shape[1] // 2
        top, bottom = draws[:, :half], draws[:, half:]
        covered = (means[:, half:] > 0).sum(axis=0)
        draws = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
        ends = [_end_of(draws[:, k], int(covered[k])) for k in range(half)]
        low, high = np.array(ends).T
        return low, high
    return bootstrap.interval(draws, bootstrap.problem_expansion(len(means)))


def _end_of(draws: Array, covered: int) -> tuple[float, float]:
    """Interval of an accuracy over covered problems; NaN where fewer than 2 are. A replicate that drew
    none of them has no accuracy and is left out."""
    if covered < 2:
        return np.nan, np.nan
    low, high = bootstrap.interval(draws[~np.isnan(draws)], bootstrap.problem_expansion(covered))
    return float(low), float(high)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
