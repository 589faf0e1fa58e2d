"""When a stored run could have stopped thinking, and where its tokens went: what `reghar policies` shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading import GraderPool
from reghar.measures.allocation import allocation_json, allocation_of
from reghar.measures.bootstrap import REPLICATES
from reghar.measures.oracle import regret_of
from reghar.measures.policies import (
    Answers,
    PolicyOutcome,
    Saving,
    confident,
    fixed,
    points_of,
    saving_of,
    settled,
    stable,
    unbounded,
)
from reghar.measures.serving import MARGIN, check_margin
from reghar.measures.votes import answer_groups
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

MOST_EQUAL = 8
"""The most equal answers in a row that `stable` waits for."""
CHANCES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Of an average token of the answer, geometric mean: where `confident` stops. Fixed beforehand, so that they
fit no run."""


def stored_policies(
    run: StoredRun, *, margin: float = MARGIN, seed: int = 0, replicates: int = REPLICATES
) -> dict[str, Any]:
    """Policies and allocation by task, as plain JSON values
    (definitions: Stopping policies; Allocation of thinking). Intervals are over problems.

    Raises InputError for an incomplete run, one budget, a chat server's run and a margin outside (0, 1).
    """
    check_margin(margin)
    if not run.protocol.cuts_responses:
        raise InputError(
            f"run {str(run.path)!r} has no answers at budgets: its chat server's replies are whole"
        )
    run.require_complete()
    if len(run.protocol.budgets) < 2:
        raise InputError(
            f"run {str(run.path)!r} has the budget {run.protocol.budgets[0]} alone, and a policy chooses "
            "among budgets: add some with `reghar probe RUN --budgets ...`"
        )
    with GraderPool() as pool:
        tasks = {
            task: task_policies(
                answers_of(run, task, answer_groups(run, task, pool)),
                margin=margin,
                seed=seed,
                replicates=replicates,
            )
            for task in run.tasks
        }
    return {
        "model": run.model,
        "digest": run.digest,
        "budget_counts": run.protocol.budget_counts,
        "margin": margin,
        "seed": seed,
        "tasks": tasks,
    }


def answers_of(run: StoredRun, task: str, groups: NDArray[np.int64]) -> Answers:
    """What a policy sees of one task of a complete run; `groups` as `votes.answer_groups` gives them."""
    key = ["problem", "sample", "budget"]
    scores = run.scores[run.scores["task"] == task]
    answers = run.answers[run.answers["task"] == task]
    forced = answers["forced"].to_numpy(bool)
    scored = answers["answer_tokens_scored"].fillna(0).to_numpy(float)
    columns = answers[key].assign(
        tokens=np.where(forced, answers["token_ids"].map(len), 0),
        confidence=np.where(
            scored > 0, answers["answer_logprob"].to_numpy(float) / np.maximum(scored, 1), np.nan
        ),
    )
    # In the order of `scores`, for whose rows `spread` says where each belongs.
    columns = scores[key].merge(columns.drop_duplicates(key), on=key, how="left")
    rows = run.spread(task, np.arange(len(columns)))
    confidence = columns["confidence"].to_numpy(float)[rows]
    return Answers(
        outcomes=run.outcomes(task),
        groups=groups,
        tokens=columns["tokens"].fillna(0).to_numpy(np.int64)[rows],
        confidence=None if np.isnan(confidence).all() else confidence,
    )


def task_policies(
    answers: Answers, *, margin: float = MARGIN, seed: int = 0, replicates: int = REPLICATES
) -> dict[str, Any]:
    """One task's points, savings and allocation; what cannot be said is null, and `notes` say why."""
    outcomes = answers.outcomes
    notes: list[str] = []
    families = dict(_families(answers, notes))
    reference, bound = unbounded(answers), settled(answers)
    every = [*(one for members in families.values() for one in members), bound, reference]
    points = points_of(every, task=outcomes.task, seed=seed, replicates=replicates)
    by_name = {point.name: _finite(asdict(point)) for point in points}

    def saved(family: str, members: list[PolicyOutcome]) -> dict[str, Any]:
        found: Saving = saving_of(
            members, reference, task=outcomes.task, margin=margin, seed=seed, replicates=replicates
        )
        return _finite(asdict(found) | {"family": family})

    savings = []
    if len(outcomes.problems) < 4:
        notes.append(
            "no savings: a policy is chosen on one half of the problems and read on the other, which needs 4 "
            f"problems, not {len(outcomes.problems)}"
        )
    else:
        savings = [saved(name, members) for name, members in families.items()]
        savings.append(saved("any", [one for members in families.values() for one in members]))
    return {
        "problems": len(outcomes.problems),
        "samples": outcomes.full.shape[1],
        "families": {name: [by_name[one.name] for one in members] for name, members in families.items()},
        "settled": by_name[bound.name],
        "unbounded": by_name[reference.name],
        "savings": savings,
        "allocation": allocation_json(allocation_of(outcomes, seed=seed, replicates=replicates)),
        "oracle": _oracle(outcomes, families["fixed"], notes, seed, replicates),
        "notes": notes,
    }


def _families(answers: Answers, notes: list[str]) -> Iterator[tuple[str, list[PolicyOutcome]]]:
    """Policies by family, each in the order of its parameter; adds why one is left out to `notes`."""
    budgets = answers.outcomes.budgets.tolist()
    yield "fixed", [fixed(answers, budget) for budget in budgets]
    yield "stable(k)", [stable(answers, k) for k in range(2, min(MOST_EQUAL, len(budgets)) + 1)]
    if len(budgets) > 2:
        yield "stable(2, from B)", [stable(answers, 2, start=budget) for budget in budgets[1:-1]]
    if answers.confidence is None:
        notes.append(
            "confident(t) is left out: no answer has a log-probability, which engines that give them store; "
            "probe the traces again with `reghar probe`"
        )
    else:
        yield "confident(t)", [confident(answers, math.log(chance)) for chance in CHANCES]


def _oracle(
    outcomes: TaskOutcomes, at_budgets: list[PolicyOutcome], notes: list[str], seed: int, replicates: int
) -> list[dict[str, Any]] | None:
    """By budget: what an oracle allocation saves, and reaches with as many tokens."""
    if outcomes.full.shape[1] < 2:
        notes.append(
            "no oracle allocation and no regret: hulls are built from one half of the samples and read on "
            "the other, and there is 1 sample a problem; run with --samples 2 or more"
        )
        return None
    found = regret_of(outcomes, seed=seed, replicates=replicates)
    return [
        _finite(
            {
                "budget": int(budget),
                "tokens": float(one.tokens.mean()),
                "accuracy": regret.oracle_accuracy,
                "regret": regret.tokens,
                "regret_low": regret.low,
                "regret_high": regret.high,
            }
        )
        for budget, one, regret in zip(outcomes.budgets, at_budgets, found, strict=True)
    ]


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """NaN as null, and tuples as lists."""
    return {
        name: None
        if isinstance(value, float) and not math.isfinite(value)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in record.items()
    }
