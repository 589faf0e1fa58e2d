"""Curves from any harness: a CSV file with the columns task, budget, accuracy."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reghar.csv_file import read_rows
from reghar.errors import InputError

COLUMNS = ("task", "budget", "accuracy")

Points = tuple[NDArray[np.int64], NDArray[np.float64]]


def read_curves(path: Path) -> dict[str, Points]:
    """Task to its budgets (B,), sorted, and accuracies (B,), tasks in the file's order.

    Other columns are ignored, rows may come in any order. Raises InputError with the line for a file
    that cannot be read or is empty, missing columns, budgets that are not integers from 0 on,
    accuracies that are not fractions, and a budget given twice.
    """
    points: dict[str, dict[int, float]] = {}
    for where, (task, budget, accuracy) in read_rows(path, COLUMNS, "curve"):
        if not task:
            raise InputError(f"{where}: the task is empty")
        own = points.setdefault(task, {})
        tokens = _budget(budget, where)
        if tokens in own:
            raise InputError(f"{where}: budget {tokens} of {task} is given twice: keep one")
        own[tokens] = _accuracy(accuracy, where)
    return {task: _sorted(own) for task, own in points.items()}


def _sorted(points: dict[int, float]) -> Points:
    budgets = sorted(points)
    return np.array(budgets, dtype=np.int64), np.array([points[budget] for budget in budgets])


def _budget(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise InputError(f"{where}: budget {text!r} is not an integer number of tokens from 0 on")
    return int(text)


def _accuracy(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{where}: accuracy {text!r} is not a number") from error
    if 1 < value <= 100:
        raise InputError(f"{where}: accuracy {text} looks like percent: give a fraction, {value / 100:g}")
    if not 0 <= value <= 1 or math.isnan(value):
        raise InputError(f"{where}: accuracy {text} is outside 0..1: give a fraction")
    return value
