"""Tables that a user wrote as CSV: curves of any harness, settings of test-time control.

Whatever is wrong with a file is said in one line that names where.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.measures.s1 import SettingsTable


def read_csv_rows(path: Path, columns: tuple[str, ...], kind: str) -> Iterator[tuple[str, list[str]]]:
    """For each row: where it stands, for messages, and its cells in the order of `columns`, stripped.

    Other columns are ignored. `kind` is what the file holds, for messages. Raises InputError for a
    file that cannot be read, is not UTF-8, is not CSV, or lacks a column or any row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the {kind} {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{kind} {str(path)!r} is not UTF-8 text: give a CSV file") from error
    try:
        yield from _rows(text, columns, f"{kind} {str(path)!r}")
    except csv.Error as error:
        raise InputError(f"{kind} {str(path)!r} is not CSV: {error}") from error


def _rows(text: str, columns: tuple[str, ...], file: str) -> Iterator[tuple[str, list[str]]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = {(name or "").strip(): name for name in rows.fieldnames or ()}
    if missing := [name for name in columns if name not in names]:
        raise InputError(
            f"{file} has no column {' or '.join(missing)}: the first line must name {','.join(columns)}"
        )
    empty = True
    for row in rows:
        empty = False
        yield f"{file}, line {rows.line_num}", [(row[names[name]] or "").strip() for name in columns]
    if empty:
        raise InputError(f"{file} is empty: below the line of names, give a row of {','.join(columns)}")


CURVE_COLUMNS = ("task", "budget", "accuracy")

Points = tuple[NDArray[np.int64], NDArray[np.float64]]


def read_curves(path: Path) -> dict[str, Points]:
    """Task to its budgets (B,), sorted, and accuracies (B,), tasks in the file's order.

    Other columns are ignored, rows may come in any order. Raises InputError with the line for a file
    that cannot be read or is empty, missing columns, budgets that are not integers from 0 on,
    accuracies that are not fractions, and a budget given twice.
    """
    points: dict[str, dict[int, float]] = {}
    for where, (task, budget, accuracy) in read_csv_rows(path, CURVE_COLUMNS, "curve"):
        if not task:
            raise InputError(f"{where}: the task is empty")
        own = points.setdefault(task, {})
        tokens = _budget(budget, where)
        if tokens in own:
            raise InputError(f"{where}: budget {tokens} of {task} is given twice: keep one")
        own[tokens] = _fraction(accuracy, where)
    return {task: _sorted(own) for task, own in points.items()}


def _sorted(points: dict[int, float]) -> Points:
    budgets = sorted(points)
    return np.array(budgets, dtype=np.int64), np.array([points[budget] for budget in budgets])


def _budget(text: str, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise InputError(f"{where}: budget {text!r} is not an integer number of tokens from 0 on")
    return int(text)


def _fraction(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{where}: accuracy {text!r} is not a number") from error
    if 1 < value <= 100:
        raise InputError(f"{where}: accuracy {text} looks like percent: give a fraction, {value / 100:g}")
    if not 0 <= value <= 1 or math.isnan(value):
        raise InputError(f"{where}: accuracy {text} is outside 0..1: give a fraction")
    return value


SETTING_COLUMNS = ("setting", "min_tokens", "max_tokens", "tokens", "accuracy")

Array = NDArray[np.float64]


def read_settings(path: Path) -> SettingsTable:
    """The settings in a CSV file with the columns `SETTING_COLUMNS`; other columns are ignored.

    Raises InputError with the line for a file that cannot be read or is empty, missing columns, a
    setting given twice, tokens that are no numbers from 0 on, bounds that contradict each other, and
    accuracies outside 0..100 (percent).
    """
    names: list[str] = []
    figures: list[tuple[float, float, float, float]] = []
    for where, (name, minimum, maximum, tokens, accuracy) in read_csv_rows(path, SETTING_COLUMNS, "table"):
        if not name:
            raise InputError(f"{where}: the setting has no name")
        if name in names:
            raise InputError(f"{where}: setting {name!r} is given twice: keep one")
        low, high = (
            _tokens(bound, where, column) if bound else math.nan
            for bound, column in ((minimum, "min_tokens"), (maximum, "max_tokens"))
        )
        if low > high:
            raise InputError(f"{where}: min_tokens {minimum} is above max_tokens {maximum}: swap them")
        names.append(name)
        figures.append((low, high, _tokens(tokens, where, "tokens"), _percent(accuracy, where)))
    low_, high_, used, percent = np.array(figures, dtype=np.float64).T
    return SettingsTable(names=tuple(names), minimum=low_, maximum=high_, tokens=used, accuracy=percent)


def _tokens(text: str, where: str, column: str) -> float:
    value = _float(text)
    if value is None or value < 0:
        raise InputError(f"{where}: {column} {text!r} is not a number of tokens from 0 on")
    return value


def _percent(text: str, where: str) -> float:
    value = _float(text.removesuffix("%"))
    if value is None or not 0 <= value <= 100:
        raise InputError(f"{where}: accuracy {text!r} is not a percentage from 0 to 100")
    return value


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
