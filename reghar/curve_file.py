"""Curves from any harness: a CSV file with the columns task, budget, accuracy."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError

COLUMNS = ("task", "budget", "accuracy")

Points = tuple[NDArray[np.int64], NDArray[np.float64]]


def read_curves(path: Path) -> dict[str, Points]:
    """Task to its budgets (B,), sorted, and accuracies (B,), tasks in the file's order.

    Other columns are ignored, rows may come in any order. Raises InputError with the line for a file
    that cannot be read or is empty, missing columns, budgets that are not integers from 0 on,
    accuracies that are not fractions, and a budget given twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the curve {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"curve {str(path)!r} is not UTF-8 text: give a CSV file") from error
    try:
        return _parse(text.splitlines(), str(path))
    except csv.Error as error:
        raise InputError(f"curve {str(path)!r} is not CSV: {error}") from error


def _parse(lines: Iterable[str], origin: str) -> dict[str, Points]:
    rows = csv.DictReader(lines, skipinitialspace=True)
    names = {(name or "").strip(): name for name in rows.fieldnames or ()}
    if missing := [name for name in COLUMNS if name not in names]:
        needed = ",".join(COLUMNS)
        raise InputError(
            f"curve {origin!r} has no column {' or '.join(missing)}: the first line must name {needed}"
        )
    points: dict[str, dict[int, float]] = {}
    for row in rows:
        where = f"curve {origin!r}, line {rows.line_num}"
        task, budget, accuracy = ((row[names[name]] or "").strip() for name in COLUMNS)
        if not task:
            raise InputError(f"{where}: the task is empty")
        own = points.setdefault(task, {})
        tokens = _budget(budget, where)
        if tokens in own:
            raise InputError(f"{where}: budget {tokens} of {task} is given twice: keep one")
        own[tokens] = _accuracy(accuracy, where)
    if not points:
        raise InputError(f"curve {origin!r} is empty: give a row for every task and budget")
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
