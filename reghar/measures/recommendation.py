"""Which budget, and which wrap-up, to serve a model with: what `reghar recommend RUN...` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.measures.allocation import allocation_of
from reghar.measures.prices import TokenPrice
from reghar.measures.serving import MARGIN, Serving, check_margin, serving_of
from reghar.measures.written import written_tokens
from reghar.store import StoredRun

Array = NDArray[np.float64]


def recommendation(
    run: StoredRun, *, margin: float = MARGIN, price: TokenPrice | None = None, seed: int = 0
) -> dict[str, Any]:
    """The budget to serve with, what it costs, and where the tokens went, as plain JSON values.

    Over the mean of the tasks. Raises InputError for an incomplete run, for one of a chat server whose
    replies cannot be cut, and for a margin outside (0, 1).
    """
    check_margin(margin)
    if not run.protocol.cuts_responses:
        raise InputError(
            f"run {str(run.path)!r} has no answers at budgets: its chat server's replies are whole"
        )
    run.require_complete()
    tasks = [run.outcomes(task) for task in run.tasks]
    found = serving_of(tasks, margin, seed=seed)
    accuracy = np.mean([one.correct.mean(axis=(0, 1)) for one in tasks], axis=0)
    spent = np.mean([_spent(run, task) for task in run.tasks], axis=0)
    whole = float(np.mean([one.length.mean() for one in tasks]))
    prompts = run.traces.groupby("task")["prompt_tokens"].mean()
    prompt = float(prompts.mean())
    rows = [
        {
            "budget": budget,
            "accuracy": float(accuracy[i]),
            "tokens": float(spent[i]),
            "price_per_1000": None if price is None else price.per_thousand(prompt, float(spent[i])),
            **asdict(found.tests[i]),
        }
        for i, budget in enumerate(found.budgets)
    ]
    return {
        "model": run.name,
        "digest": run.digest,
        "budget_counts": run.protocol.budget_counts,
        "probe": run.protocol.probe.name,
        "price": None if price is None else asdict(price),
        "margin": margin,
        "recommended": found.recommended,
        "undecided": _undecided(found),
        "unbounded": {
            "accuracy": float(np.mean([one.full_correct.mean() for one in tasks])),
            "tokens": whole,
            "price_per_1000": None if price is None else price.per_thousand(prompt, whole),
            "price_of_prompts": None if price is None else price.per_thousand(prompt, 0.0),
            "price_of_token": None if price is None else price.per_thousand(0.0, 1.0),
        },
        "budgets": rows,
        "tokens_went": {task: _went(run, task, seed) for task in run.tasks},
    }


def recommendations(
    runs: Mapping[str, StoredRun],
    *,
    margin: float = MARGIN,
    price: TokenPrice | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The recommendation of each run by its label, and which of them to take: that with the fewest tokens.

    The runs are probings of one model's traces with other wrap-ups, probes or budgets; InputError for others.
    """
    (first, one), *others = runs.items()
    for label, other in others:
        differing = [
            line
            for line in one.protocol.differences(other.protocol)
            if not line.startswith(("probe.", "budgets:", "budget_counts:"))
        ]
        if one.name != other.name:
            differing.append(f"model: {one.name} != {other.name}")
        if one.manifest.seed != other.manifest.seed:
            differing.append(f"seed: {one.manifest.seed} != {other.manifest.seed}")
        if differing:
            raise InputError(
                f"{first} and {label} are no probings of the same traces: {'; '.join(differing)}; give runs "
                "that `reghar probe` made of one run, or call the command for each"
            )
    found = {label: recommendation(run, margin=margin, price=price, seed=seed) for label, run in runs.items()}
    passed = {label: at for label, result in found.items() if (at := recommended_row(result)) is not None}
    return {
        "choice": min(passed, key=lambda label: passed[label]["tokens"], default=None),
        "runs": found,
    }


def recommended_row(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figures at the recommended budget; None where there is none."""
    rows: list[dict[str, Any]] = result["budgets"]
    return next((row for row in rows if row["budget"] == result["recommended"]), None)


def _spent(run: StoredRun, task: str) -> Array:
    """Shape (B,): mean tokens written, trace and forced answer; of a wrap-up, with the wrap-up."""
    if run.manifest.settings.get("wrap_up") is not None:
        return np.asarray(written_tokens(run, task)[1].mean(axis=(0, 1)))
    outcomes = run.outcomes(task)
    answers = run.answers[run.answers["task"] == task]
    forced = answers[answers["forced"].to_numpy(bool)]
    budgets, counted = outcomes.budgets, outcomes.counted[:, :, None]
    # An answer part that thinking budgets do not count is written where the trace ended itself.
    ended = outcomes.finished[:, :, None] & (counted <= budgets)
    trace = np.where(ended, outcomes.length[:, :, None], np.minimum(counted, budgets)).mean(axis=(0, 1))
    lengths = forced["token_ids"].map(len).groupby(forced["budget"].astype(int)).sum()
    written: Array = trace + lengths.reindex(budgets, fill_value=0).to_numpy(float) / outcomes.full.size
    return written


def _undecided(found: Serving) -> dict[str, Any] | None:
    """The budget at which the sequence ended without a verdict."""
    at = found.failed
    if at is None or found.tests[at].verdict != "undecided":
        return None
    return {"budget": found.budgets[at], "problems_needed": found.tests[at].problems_needed}


def _went(run: StoredRun, task: str, seed: int) -> dict[str, float | None]:
    one = allocation_of(run.outcomes(task), seed=seed)
    shares = {
        "useful_share": one.useful_share,
        "overthinking_share": one.overthinking_share.value,
        "futility_share": one.futility_share.value,
        "overthinking_tax": one.overthinking_tax.value,
        "futility_waste": one.futility_waste.value,
    }
    return {name: value if math.isfinite(value) else None for name, value in shares.items()}
