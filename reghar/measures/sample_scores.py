"""A verifier's scores of a run's answers, from a file of JSON lines: task, problem, sample, budget, score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.store import StoredRun
from reghar.store.outcomes import MISSING
from reghar.tasks.rows import iterate_json_lines

StepRule = Literal["min", "mean", "prod", "last"]
"""How the scores of a solution's steps become one."""
_FINENESS = 1 << 40
"""Scores are told apart in steps of 1 / 2**40."""

ScoreKey = tuple[str, str, int, int | None]
"""(task, problem id, sample, budget); budget None for the whole trace's own answer."""


def step_score(scores: Sequence[float], rule: StepRule) -> float:
    """One score of a solution from those of its steps, 0..1 each and at least one."""
    if rule == "mean":
        return math.fsum(scores) / len(scores)
    if rule == "prod":
        return math.prod(scores)
    return min(scores) if rule == "min" else scores[-1]


def read_scores(path: Path, run: StoredRun, rule: StepRule) -> dict[ScoreKey, float]:
    """The file's scores. Raises InputError, one line, for a row that is broken, stands for no answer of
    the run, stands twice, or has a score outside 0..1."""
    scores: dict[ScoreKey, float] = {}
    for number, row in iterate_json_lines(path):
        where = f"{path} line {number}"
        key = _key(row, run, where)
        if key in scores:
            raise InputError(f"{where}: this answer has a score already: {_named(key)}")
        scores[key] = _score(row.get("score"), rule, where)
    return scores


def scores_of(run: StoredRun, task: str, scores: Mapping[ScoreKey, float]) -> NDArray[np.float64]:
    """Shape (P, n, B): the score of the answer that each budget has, NaN where the file gives none.

    A budget that a finished trace never passed has the trace's own answer, and so its score.
    """
    rows = run.scores[run.scores["task"] == task]
    budgets = [None if budget < 0 else int(budget) for budget in rows["budget"].fillna(-1)]
    keys = zip(rows["problem"], rows["sample"], budgets, strict=True)
    values = [scores.get((task, problem, int(sample), budget)) for problem, sample, budget in keys]
    codes = [MISSING if value is None else round(value * _FINENESS) for value in values]
    spread = run.spread(task, np.array(codes, dtype=np.int64))
    return np.where(spread == MISSING, np.nan, spread / _FINENESS)


def _key(row: Mapping[str, Any], run: StoredRun, where: str) -> ScoreKey:
    task, problem, sample, budget = (row.get(name) for name in ("task", "problem", "sample", "budget"))
    if not isinstance(task, str) or task not in run.tasks:
        raise InputError(f"{where}: the run has no task {task!r:.60}; it has {', '.join(run.tasks)}")
    planned = run.protocol.tasks[task]
    if not isinstance(problem, str) or problem not in planned.problem_ids:
        raise InputError(f"{where}: task {task} of the run has no problem {problem!r:.60}")
    if type(sample) is not int or not 0 <= sample < planned.samples:
        raise InputError(f"{where}: sample is {sample!r:.60}: give 0 to {planned.samples - 1}")
    if budget is not None and (type(budget) is not int or budget not in run.protocol.budgets):
        raise InputError(
            f"{where}: budget is {budget!r:.60}: give one of the run's, or null for the whole trace"
        )
    return task, problem, sample, budget


def _score(value: object, rule: StepRule, where: str) -> float:
    steps: list[Any] = value if isinstance(value, list) else [value]
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 <= step <= 1:
            raise InputError(f"{where}: score is {step!r:.60}: give a number from 0 to 1, or a list of them")
    if not steps:
        raise InputError(f"{where}: score is an empty list: give one number per step")
    return step_score(steps, rule)


def _named(key: ScoreKey) -> str:
    task, problem, sample, budget = key
    return f"{task}, problem {problem!r}, sample {sample}, budget {budget}"
