"""s1's metrics of test-time control: Control, Scaling, Performance.

Source: Muennighoff et al., "s1: Simple test-time scaling" (arXiv 2501.19393), section 3.2, tables 3,
11, 12, 13. A setting a asks for between a_min and a_max thinking tokens, used t_a on average and
reached accuracy f_a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Mean slope of accuracy in thinking tokens, over the pairs of settings that have one."""

    per_doubling: Array
    """Shape (...): percentage points per doubling of thinking tokens; NaN where no pair has a slope."""
    per_1000: Array
    """Shape (...): percentage points per 1,000 thinking tokens; NaN where no pair has a slope."""
    pairs_left_out: NDArray[np.int64]
    """Shape (...): pairs without a slope: of equal tokens, or with a setting of 0 tokens."""


def control(used: ArrayLike, minimum: ArrayLike, maximum: ArrayLike) -> float | None:
    """Percent of settings with a_min <= t_a <= a_max (s1 eq. 1).

    All of shape (A,), in thinking tokens; NaN in `minimum` or `maximum` where there is no such bound.
    A setting without any bound is not counted; None where no setting has one.
    """
    flags = obeyed(used, minimum, maximum)
    return _number(100 * _mean_where(flags, ~np.isnan(flags)))


def obeyed(used: ArrayLike, minimum: ArrayLike, maximum: ArrayLike) -> Array:
    """1.0 where a setting used what it asked for, else 0.0, NaN where it asks nothing; shapes (..., A)."""
    tokens, low, high = (np.asarray(values, dtype=np.float64) for values in (used, minimum, maximum))
    inside = within(tokens, low, high).astype(np.float64)
    return np.where(np.isnan(low) & np.isnan(high), np.nan, inside)


def class_control(short: float, long: float, reference: float) -> float:
    """Control of class-conditional settings, in percent (s1 section 3.2).

    "Short" is obeyed where it used fewer thinking tokens than the run without an instruction
    (`reference`, itself no setting), "long" where it used more.
    """
    return 100 * ((short < reference) + (long > reference)) / 2


def within(used: ArrayLike, minimum: ArrayLike, maximum: ArrayLike) -> NDArray[np.bool_]:
    """Which token counts lie within the limits (NaN: no limit); its mean is the sample-level share."""
    tokens, low, high = (np.asarray(values, dtype=np.float64) for values in (used, minimum, maximum))
    return ~(tokens < low) & ~(tokens > high)


def scaling(used: ArrayLike, accuracy: ArrayLike) -> Scaling:
    """Mean over pairs of settings of (f_b - f_a) / (log2 t_b - log2 t_a) (s1 section 3.2).

    `used` (..., A) in thinking tokens, `accuracy` (..., A) in percent. s1 prints the denominator as
    b - a; its table 3 comes out only with log2. Beside it the same mean in plain tokens, per 1,000.
    """
    tokens, percent = np.asarray(used, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    a, b = np.triu_indices(tokens.shape[-1], k=1)
    t_a, t_b = tokens[..., a], tokens[..., b]
    sloped = (t_a > 0) & (t_b > 0) & (t_a != t_b)
    rise = percent[..., b] - percent[..., a]
    doublings = np.log2(np.where(sloped, t_b, 2.0)) - np.log2(np.where(sloped, t_a, 1.0))
    thousands = np.where(sloped, t_b - t_a, 1.0) / 1000
    return Scaling(
        per_doubling=_mean_where(rise / doublings, sloped),
        per_1000=_mean_where(rise / thousands, sloped),
        pairs_left_out=(~sloped).sum(axis=-1),
    )


def performance(accuracy: ArrayLike) -> Array:
    """The best accuracy over settings, (..., A) to (...), in percent (s1 eq. 3)."""
    best: Array = np.asarray(accuracy, dtype=np.float64).max(axis=-1)
    return best


def figures(used: ArrayLike, percent: ArrayLike, obeyed: ArrayLike) -> dict[str, Array]:
    """s1's measures of settings (..., A), named as in reports: the one place where they are assembled.

    `used` in thinking tokens, `percent` the accuracy, `obeyed` 1 or 0, NaN where a setting asks for
    nothing. Each (...); NaN where there is none.
    """
    slopes = scaling(used, percent)
    kept = np.asarray(obeyed, dtype=np.float64)
    return {
        "control": 100 * _mean_where(kept, ~np.isnan(kept)),
        "scaling": slopes.per_doubling,
        "scaling_per_1000": slopes.per_1000,
        "performance": performance(percent),
    }


def _mean_where(values: Array, chosen: NDArray[np.bool_]) -> Array:
    count = chosen.sum(axis=-1)
    total = np.where(chosen, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


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
    flags = obeyed(table.tokens, table.minimum, table.maximum)
    found = {name: _number(value) for name, value in figures(table.tokens, table.accuracy, flags).items()}
    count = len(table.names)
    return ControlMeasures(
        settings=count,
        bounded=int((~np.isnan(flags)).sum()),
        obeyed=int(np.nansum(flags)),
        control=found["control"],
        scaling=found["scaling"],
        scaling_per_1000=found["scaling_per_1000"],
        performance=float(performance(table.accuracy)),
        pairs=count * (count - 1) // 2,
        pairs_left_out=int(scaling(table.tokens, table.accuracy).pairs_left_out),
    )


def _number(value: Array) -> float | None:
    return float(value) if np.isfinite(value) else None
