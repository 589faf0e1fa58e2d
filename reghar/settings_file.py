"""Anyone's table of test-time control: a CSV file with a row a setting, measured as s1 does (SPEC 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reghar import control
from reghar.csv_file import read_rows
from reghar.errors import InputError

COLUMNS = ("setting", "min_tokens", "max_tokens", "tokens", "accuracy")

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SettingsTable:
    """The settings A of one method of control."""

    names: tuple[str, ...]
    minimum: Array
    """Shape (A,): thinking tokens asked for at least; NaN where there is no such bound."""
    maximum: Array
    """Shape (A,): thinking tokens asked for at most; NaN where there is no such bound."""
    tokens: Array
    """Shape (A,): thinking tokens used on average, at least 0."""
    accuracy: Array
    """Shape (A,): in percent, 0..100."""


@dataclass(frozen=True, kw_only=True)
class ControlMeasures:
    """s1's measures of one method (s1 section 3.2)."""

    settings: int
    bounded: int
    """Settings with a bound: those that Control is taken over."""
    obeyed: int
    """Bounded settings whose tokens lie within their bounds."""
    control: float | None
    """Percent; None where no setting has a bound."""
    scaling: float | None
    """Percentage points per doubling of thinking tokens; None where no pair has a slope."""
    scaling_per_1000: float | None
    """Percentage points per 1,000 thinking tokens."""
    performance: float
    """The best accuracy, percent."""
    pairs: int
    pairs_left_out: int
    """Pairs without a slope: equal tokens, or a setting of 0 tokens."""


def measure_settings(table: SettingsTable) -> ControlMeasures:
    """Control, Scaling and Performance of the settings."""
    bounded = ~(np.isnan(table.minimum) & np.isnan(table.maximum))
    obeyed = control.within(table.tokens, table.minimum, table.maximum) & bounded
    slopes = control.scaling(table.tokens, table.accuracy)
    count = len(table.names)
    return ControlMeasures(
        settings=count,
        bounded=int(bounded.sum()),
        obeyed=int(obeyed.sum()),
        control=control.control(table.tokens, table.minimum, table.maximum),
        scaling=_number(slopes.per_doubling),
        scaling_per_1000=_number(slopes.per_1000),
        performance=float(control.performance(table.accuracy)),
        pairs=count * (count - 1) // 2,
        pairs_left_out=int(slopes.pairs_left_out),
    )


def read_settings(path: Path) -> SettingsTable:
    """The settings in a CSV file with the columns `COLUMNS`; other columns are ignored.

    Raises InputError with the line for a file that cannot be read or is empty, missing columns, a
    setting given twice, tokens that are no numbers from 0 on, bounds that contradict each other, and
    accuracies outside 0..100 (percent).
    """
    names: list[str] = []
    figures: list[tuple[float, float, float, float]] = []
    for where, (name, minimum, maximum, tokens, accuracy) in read_rows(path, COLUMNS, "table"):
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
        figures.append((low, high, _tokens(tokens, where, "tokens"), _accuracy(accuracy, where)))
    low_, high_, used, percent = np.array(figures, dtype=np.float64).T
    return SettingsTable(names=tuple(names), minimum=low_, maximum=high_, tokens=used, accuracy=percent)


def _tokens(text: str, where: str, column: str) -> float:
    value = _float(text)
    if value is None or value < 0:
        raise InputError(f"{where}: {column} {text!r} is not a number of tokens from 0 on")
    return value


def _accuracy(text: str, where: str) -> float:
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


def _number(value: Array) -> float | None:
    return float(value) if np.isfinite(value) else None
