"""Curves of several tasks against a frontier: REG per task and on average, without outcomes behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reghar.errors import InputError
from reghar.frontiers.frontier import Frontier
from reghar.measures import reg
from reghar.measures.catalogue import rounded
from reghar.measures.csv_input import Points

CURVES_SCHEMA = "reghar.reg/1"
_FIGURES = ("reg", "reg_up_to_1024", "reg_positive", "reg_negative", "area")


def reg_of_curves(curves: Mapping[str, Points], frontier: Frontier) -> dict[str, Any]:
    """What `reghar reg --json` prints: `schema`, `frontier`, `tasks`, `average`, `notes`.

    `curves` maps task to budgets (B,) and accuracy (B,). Figures are in tokens. Raises InputError for
    a task that the frontier has not, fewer than two budgets, and budgets outside the frontier's.
    """
    tasks = {task: _reg_of_task(task, points, frontier) for task, points in curves.items()}
    return {
        "schema": CURVES_SCHEMA,
        "frontier": frontier.name,
        "tasks": tasks,
        "average": {figure: _mean([one[figure] for one in tasks.values()]) for figure in _FIGURES},
        "notes": [
            *(f"{task}: {note}" for task, one in tasks.items() for note in one.pop("notes")),
            *_notes(curves, frontier),
        ],
    }


def _reg_of_task(task: str, points: Points, frontier: Frontier) -> dict[str, Any]:
    budgets, accuracy = points
    best = frontier.task(task)
    try:
        result = reg.reg(budgets, accuracy, best.budgets, best.accuracy)
    except InputError as error:
        raise InputError(f"{task}: {error}") from error
    top = reg.frontier_top(best.budgets, best.accuracy, budgets[-1])
    return {
        "budgets": budgets.tolist(),
        "accuracy": accuracy.tolist(),
        "frontier": reg.frontier_at(budgets, best.budgets, best.accuracy).tolist(),
        **{name: None if value is None else rounded(value) for name, value in result.figures().items()},
        "area": rounded(float(reg.area(budgets, accuracy))),
        **{f"tokens_to_{level}": _reached(budgets, accuracy, top * level / 100) for level in reg.LEVELS},
        **{
            f"frontier_tokens_to_{level}": _reached(best.budgets, best.accuracy, top * level / 100)
            for level in reg.LEVELS
        },
        "notes": result.notes,
    }


def _reached(budgets: Any, accuracy: Any, level: float) -> float | None:
    tokens = float(reg.tokens_to_reach(budgets, accuracy, level))
    return rounded(tokens) if level > 0 and np.isfinite(tokens) else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return rounded(float(np.mean(known))) if len(known) == len(values) else None


def _notes(curves: Mapping[str, Points], frontier: Frontier) -> list[str]:
    notes = []
    if absent := [task for task in frontier.tasks if task not in curves]:
        notes.append(
            f"the average is over {len(curves)} of the frontier's tasks; without {', '.join(absent)}"
        )
    if len({tuple(budgets.tolist()) for budgets, _ in curves.values()}) > 1:
        notes.append("the tasks have different grids: their average mixes figures that are not comparable")
    if frontier.protocol == "unverified":
        notes.append("the frontier's protocol is unverified: probe sampling and grader are not published")
    else:
        notes.append("whether the curve was measured under the frontier's protocol is not known")
    return notes
