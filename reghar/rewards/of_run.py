"""What a reward would prefer among the traces of a stored run, before a GPU hour is spent on it.

A group is one problem's n samples. Whole-response rewards take the trace's own answer; `reo_rl` and
`q_spec` the stored probes, a response being right where its answer at L_max is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.measures.efficiency import minimal_budgets
from reghar.rewards.advantages import grpo, rloo
from reghar.rewards.catalogue import PER_PROBLEM, Reward, reward_named
from reghar.rewards.forced_answers import reo_rl
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TaskRewards:
    """One task; P problems (groups), n samples each."""

    task: str
    problems: tuple[str, ...]
    length: NDArray[np.int64]
    """Shape (P, n): response tokens."""
    right: NDArray[np.bool_]
    """Shape (P, n): what the reward takes as correct."""
    reward: Array
    """Shape (P, n)."""
    notes: tuple[str, ...] = ()

    @property
    def rloo(self) -> Array:
        """Shape (P, n): reward minus the mean of the problem's others."""
        return np.array([rloo(group) for group in self.reward])

    @property
    def grpo(self) -> Array:
        """Shape (P, n): (reward - mean) / std of the problem's group."""
        return np.array([grpo(group) for group in self.reward])

    @property
    def mean_right(self) -> float | None:
        """Mean reward of right responses; None where there are none."""
        return float(self.reward[self.right].mean()) if self.right.any() else None

    @property
    def mean_wrong(self) -> float | None:
        """Mean reward of wrong responses; None where there are none."""
        return float(self.reward[~self.right].mean()) if not self.right.all() else None

    @property
    def zero_variance(self) -> float:
        """Share (0..1) of the groups in which all rewards are equal: they teach nothing."""
        return float((np.ptp(self.reward, axis=1) == 0).mean())

    @property
    def length_correlation(self) -> tuple[float | None, int]:
        """Spearman correlation of reward with tokens among a problem's right responses: the mean over
        the problems where it exists, and their number. None where it exists nowhere."""
        from scipy.stats import spearmanr

        found = []
        for reward, length, right in zip(self.reward, self.length, self.right, strict=True):
            if right.any() and np.ptp(reward[right]) > 0 and np.ptp(length[right]) > 0:
                found.append(float(spearmanr(reward[right], length[right]).statistic))
        return (float(np.mean(found)) if found else None), len(found)

    @property
    def prefers_wrong(self) -> list[str]:
        """Problems in which some wrong response has a higher reward than some right one."""
        return [
            problem
            for problem, reward, right in zip(self.problems, self.reward, self.right, strict=True)
            if right.any() and not right.all() and reward[~right].max() > reward[right].min()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: the summary, and one row per trace with its advantages."""
        correlation, groups = self.length_correlation
        by_rloo, by_grpo = self.rloo, self.grpo
        return {
            "mean_reward_right": self.mean_right,
            "mean_reward_wrong": self.mean_wrong,
            "length_correlation_right": correlation,
            "length_correlation_problems": groups,
            "share_zero_variance": self.zero_variance,
            "prefers_wrong": self.prefers_wrong,
            "notes": list(self.notes),
            "traces": [
                {
                    "problem": problem,
                    "sample": sample,
                    "length": int(self.length[i, sample]),
                    "correct": bool(self.right[i, sample]),
                    "reward": float(self.reward[i, sample]),
                    "rloo": float(by_rloo[i, sample]),
                    "grpo": float(by_grpo[i, sample]),
                }
                for i, problem in enumerate(self.problems)
                for sample in range(self.length.shape[1])
            ],
        }


def rewards_of_run(
    run: StoredRun,
    name: str,
    settings: Mapping[str, Any],
    *,
    budgets: Sequence[int] | None = None,
    reference: StoredRun | None = None,
) -> list[TaskRewards]:
    """The reward of every trace, task by task.

    `budgets`: those of `reo_rl`, from the run's grid (default: all above 0 and below its last, which is
    L_max). `reference`: the run of the reference model for `length_harmonizing` (needed), and the one
    that gives each question's minimal budget for `q_spec` (default: the run itself). Raises InputError
    for an incomplete run, fewer than 2 samples, a budget that the run does not hold, and other problems
    in the reference.
    """
    for one in (run, *([reference] if reference is not None else [])):
        one.require_complete()
    if budgets is not None and name != "reo_rl":
        raise InputError(f"--budgets belong to reo_rl; {name} takes none")
    if reference is not None and name not in PER_PROBLEM:
        raise InputError(f"--reference belongs to {', '.join(PER_PROBLEM)}; {name} takes none")
    return [_task(run.outcomes(task), name, dict(settings), budgets, reference) for task in run.tasks]


def _task(
    outcomes: TaskOutcomes,
    name: str,
    settings: dict[str, Any],
    budgets: Sequence[int] | None,
    reference: StoredRun | None,
) -> TaskRewards:
    if outcomes.full.shape[1] < 2:
        raise InputError(f"{outcomes.task} has one sample per problem: a group needs at least 2")
    of_reference = None if reference is None else _same_problems(reference, outcomes)
    right = outcomes.full_correct > 0
    notes: tuple[str, ...] = ()
    if name == "reo_rl":
        right, reward = _reo_rl(outcomes, settings, budgets)
    elif name == "q_spec":
        right, reward, notes = _q_spec(outcomes, settings, of_reference or outcomes)
    else:
        reward = _whole(outcomes, right, name, reward_named(name, settings), of_reference)
    return TaskRewards(
        task=outcomes.task,
        problems=outcomes.problems,
        length=outcomes.length,
        right=right,
        reward=reward,
        notes=notes,
    )


def _whole(
    outcomes: TaskOutcomes,
    right: NDArray[np.bool_],
    name: str,
    reward: Reward,
    reference: TaskOutcomes | None,
) -> Array:
    per_problem: list[dict[str, float]] = [{} for _ in outcomes.problems]
    if name in PER_PROBLEM:
        if reference is None:
            raise InputError(f"{name} needs --reference RUN: a stored run of the reference model")
        means = zip(reference.length.mean(axis=1), reference.full_correct.mean(axis=1), strict=True)
        per_problem = [{"ref_length": float(a), "ref_accuracy": float(b)} for a, b in means]
    # An empty response has no ratio of lengths; it counts as one token there, as in training.
    lengths = np.maximum(outcomes.length, 1)
    rows = zip(lengths, right, per_problem, strict=True)
    return np.array([reward(length, correct, **given) for length, correct, given in rows])


def _reo_rl(
    outcomes: TaskOutcomes, settings: dict[str, Any], budgets: Sequence[int] | None
) -> tuple[NDArray[np.bool_], Array]:
    grid = outcomes.budgets.tolist()
    l_max = grid[-1]
    chosen = [budget for budget in grid[:-1] if budget > 0] if budgets is None else list(budgets)
    if chosen and chosen[-1] == l_max:
        chosen = chosen[:-1]  # L_max always belongs to the sum
    if strange := [budget for budget in chosen if budget not in grid]:
        raise InputError(f"the run has no answers at {strange}; its budgets are {grid}")
    reward = reward_named("reo_rl", {**settings, "budgets": chosen, "l_max": l_max})
    columns = [grid.index(budget) for budget in (*chosen, l_max)]
    rights = outcomes.correct[..., columns]
    return rights[..., -1] > 0, np.array([reward(group) for group in rights])


def _q_spec(
    outcomes: TaskOutcomes, settings: dict[str, Any], reference: TaskOutcomes
) -> tuple[NDArray[np.bool_], Array, tuple[str, ...]]:
    grid = outcomes.budgets.tolist()
    if reference.budgets.tolist() != grid:
        raise InputError("the reference run has other budgets: minimal budgets need the same grid")
    l_max = grid[-1]
    reward = reward_named("q_spec", {**settings, "l_max": l_max})
    minimal = minimal_budgets(reference.correct.mean(axis=1)[None], grid)
    rewards = []
    for rights, budget in zip(outcomes.correct, minimal, strict=True):
        if budget < l_max:
            columns = [grid.index(int(budget)), -1]
            rewards.append(reward(rights[:, columns], minimal_budget=float(budget)))
        else:  # reached at L_max only, or never: no budget of its own
            rewards.append(reo_rl(rights[:, -1:], budgets=[], l_max=l_max))
    without = int((~(minimal < l_max)).sum())
    notes = (f"{without} problems have no minimal budget below L_max: rewarded at L_max alone",)
    return outcomes.correct[..., -1] > 0, np.array(rewards), notes if without else ()


def _same_problems(reference: StoredRun, outcomes: TaskOutcomes) -> TaskOutcomes:
    """The reference's outcomes on the same problems. Raises InputError where it has others."""
    known = reference.outcomes(outcomes.task)
    if known.problems != outcomes.problems:
        raise InputError(
            f"{outcomes.task}: the reference run {str(reference.path)!r} has other problems; "
            "run the reference model on the same ones"
        )
    return known
