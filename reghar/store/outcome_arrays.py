"""Stored rows laid out as arrays over (problem, sample) and (problem, sample, budget)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reghar.grading.outcome import OUTCOMES
from reghar.protocol import Protocol, Setting
from reghar.store.outcomes import MISSING, TaskOutcomes
from reghar.store.tables import KEY

if TYPE_CHECKING:
    import pandas as pd

_FAR = (1 << 31) - 1
"""Tokens that no trace reaches."""
SHAPE_COLUMNS = [
    *KEY,
    "length",
    "thinking_length",
    "finished",
    "looped",
    "thinking_opened",
    "thinking_start",
    "thinking_end",
    "countdown",
]
"""Of traces: all that the arrays are made of."""


def task_outcomes(
    task: str,
    protocol: Protocol,
    setting: Setting | None,
    clusters: tuple[str, ...] | None,
    shapes: pd.DataFrame,
    scores: pd.DataFrame,
) -> TaskOutcomes:
    """The outcomes of one task at one setting, None for the plain evaluation.

    `shapes`: its traces, with `SHAPE_COLUMNS`; `scores`: with `KEY`, `budget` and `outcome`; rows that are
    not planned are passed over.
    """
    planned = protocol.tasks[task]
    problems = planned.problem_ids
    budgets = np.asarray(protocol.budgets if setting is None else setting.budgets, dtype=np.int64)
    shape = (len(problems), planned.samples)
    place = {problem: i for i, problem in enumerate(problems)}

    shapes = _planned(shapes, place, shape[1])
    at = (shapes["problem"].map(place).to_numpy(int), shapes["sample"].to_numpy(int))

    def grid(values: pd.Series[Any], dtype: type) -> NDArray[Any]:
        array: NDArray[Any] = np.zeros(shape, dtype=dtype)
        array[at] = values.to_numpy(dtype=dtype)
        return array

    length = grid(shapes["length"], np.int64)
    thinking_length = grid(shapes["thinking_length"], np.int64)
    finished = grid(shapes["finished"], np.bool_)
    scores = _planned(scores, place, shape[1])
    numbers = {str(o): i for i, o in enumerate(OUTCOMES)}
    # An outcome of another version is none: grading again says what it is here.
    codes = np.asarray(scores["outcome"].map(numbers).fillna(MISSING), dtype=np.int64)
    full, outcome = _code_arrays(scores, codes, place, budgets, shape)
    # A verdict on a trace that is gone has no length: it would be measured as one of no tokens.
    stored = np.zeros(shape, dtype=np.bool_)
    stored[at] = True
    full = np.where(stored, full, MISSING)
    outcome = np.where(stored[..., None], outcome, MISSING)
    thought = grid(shapes["thinking_start"].notna(), np.bool_)
    counted = length if protocol.budget_counts == "response" else thinking_length
    if setting is not None:
        # Settings ask for thinking tokens; a trace whose countdown ended was cut there, at any budget.
        counted = np.where(thought, thinking_length, length)
        countdown = grid(shapes["countdown"].fillna(_FAR), np.int64)
        counted = np.where(countdown < counted, _FAR, counted)
    outcome = _shared(full, outcome, finished, counted, budgets)
    # Replies that cannot be cut have one budget, which is no setting of budget forcing.
    named = protocol.control.budgets if protocol.cuts_responses else ()
    return TaskOutcomes(
        task=task,
        problems=problems,
        budgets=budgets,
        outcome=outcome.astype(np.int8),
        full=full.astype(np.int8),
        length=length,
        thinking_length=thinking_length,
        finished=finished,
        looped=grid(shapes["looped"], np.bool_),
        thought=thought,
        thinking_opened=grid(shapes["thinking_opened"], np.bool_),
        thinking_closed=grid(shapes["thinking_end"].notna(), np.bool_),
        budget_counts=protocol.budget_counts,
        settings=named,
        clusters=clusters,
    )


def countdowns(outcomes: TaskOutcomes, shapes: pd.DataFrame) -> NDArray[np.int64]:
    """Shape (P, n): thinking tokens after which the model's countdown of steps reached zero; where it did
    not, more than any trace has. `shapes` as for `task_outcomes`."""
    place = {problem: i for i, problem in enumerate(outcomes.problems)}
    shapes = _planned(shapes, place, outcomes.full.shape[1])
    reached = np.full(outcomes.full.shape, _FAR, dtype=np.int64)
    at = (shapes["problem"].map(place).to_numpy(int), shapes["sample"].to_numpy(int))
    reached[at] = shapes["countdown"].fillna(_FAR).to_numpy(np.int64)
    return reached


def spread_codes(outcomes: TaskOutcomes, scores: pd.DataFrame, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shape (P, n, B): the code of the answer that every budget has, `MISSING` for none.

    `codes`, from 0 on, stand one for one for the rows of `scores`.
    """
    place = {problem: i for i, problem in enumerate(outcomes.problems)}
    problems, samples = outcomes.full.shape
    scores = _planned(scores.assign(code=codes), place, samples)
    codes = scores["code"].to_numpy(np.int64)
    full, by_budget = _code_arrays(scores, codes, place, outcomes.budgets, (problems, samples))
    return _shared(full, by_budget, outcomes.finished, outcomes.counted, outcomes.budgets)


def _planned(frame: pd.DataFrame, place: dict[str, int], samples: int) -> pd.DataFrame:
    """Only the rows of planned problems and samples count."""
    return frame[frame["problem"].isin(list(place)) & (frame["sample"] < samples)]


def _code_arrays(
    scores: pd.DataFrame,
    codes: NDArray[np.int64],
    place: dict[str, int],
    budgets: NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(full, by budget): shapes (P, n) and (P, n, B) of the rows' codes, `MISSING` where none is stored."""
    row = scores["problem"].map(place).to_numpy(int)
    sample = scores["sample"].to_numpy(int)
    own = scores["budget"].isna().to_numpy()
    full = np.full(shape, MISSING, dtype=np.int64)
    full[row[own], sample[own]] = codes[own]
    budget = scores["budget"].fillna(-1).to_numpy(np.int64)
    on_grid = ~own & np.isin(budget, budgets)
    by_budget = np.full((*shape, len(budgets)), MISSING, dtype=np.int64)
    column = np.searchsorted(budgets, budget[on_grid])
    by_budget[row[on_grid], sample[on_grid], column] = codes[on_grid]
    return full, by_budget


def _shared(
    full: NDArray[np.int64],
    by_budget: NDArray[np.int64],
    finished: NDArray[np.bool_],
    counted: NDArray[np.int64],
    budgets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Budgets that a finished trace never passed share its own answer (definitions: The curve)."""
    shares = finished[:, :, None] & (counted[:, :, None] <= budgets) & (by_budget == MISSING)
    return np.where(shares, full[:, :, None], by_budget)
