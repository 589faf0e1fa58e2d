"""Every measure: its name, unit and direction, and one figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Literal

from reghar.measures.reg import LEVELS, RESOLUTION

IntervalKind = Literal["problems", "samples"]
"""What is drawn with replacement: whole problems, or samples within fixed problems; see `QUESTIONS`."""

QUESTIONS: Mapping[IntervalKind, str] = {
    "problems": "about problems like these (whole problems drawn)",
    "samples": "about this benchmark and other draws of the model (samples drawn)",
}
"""What an interval answers, in the words of reports."""

MEASURES: Mapping[str, tuple[str, bool | None]] = {
    "reg": ("tokens", False),
    "reg_cross_fitted": ("tokens", False),
    "reg_up_to_1024": ("tokens", False),
    "reg_positive": ("tokens", False),
    "reg_negative": ("tokens", False),
    "area": ("tokens", True),
    "accuracy_full": ("fraction", True),
    "accuracy_full_if_ungraded_right": ("fraction", None),
    "accuracy_at_l_max": ("fraction", True),
    "accuracy_at_l_max_if_ungraded_right": ("fraction", None),
    "mean_length": ("tokens", False),
    "mean_length_correct": ("tokens", False),
    "mean_thinking_length": ("tokens", None),
    "thinking_share": ("fraction", None),
    "share_unfinished": ("fraction", False),
    "share_looped": ("fraction", False),
    "share_thinking": ("fraction", None),
    "share_thinking_unclosed": ("fraction", False),
    "share_answered_inside": ("fraction", None),
    **{f"tokens_to_{level}": ("tokens", False) for level in LEVELS},
    **{f"frontier_tokens_to_{level}": ("tokens", None) for level in LEVELS},
    "wasted_tokens_reading": ("tokens", False),
    "control": ("%", True),
    "scaling": ("points per doubling", True),
    "scaling_per_1000": ("points per 1,000 tokens", True),
    "performance": ("%", True),
}
"""Every measure: its name, unit, and whether higher is better. Docs: `docs/report.md`."""


def rounded(value: float) -> float:
    """The figure as it is written: 12 significant digits, and 0 where it is below `RESOLUTION`.

    Machines differ in the last bits of a logarithm or a long sum; a figure must not.
    """
    if not isfinite(value):
        return value
    return 0.0 if abs(value) < RESOLUTION else float(f"{value:.12g}")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One named figure with its interval."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False, "strict": True}

    name: str
    """Stable name, one of `MEASURES`."""
    value: float | None
    """In `unit`; None where the measure does not exist, such as the budget for an accuracy never reached."""
    unit: str
    higher_is_better: bool | None
    """None where neither direction is better."""
    low: float | None
    """Lower end of the 95% interval; None where there is no interval (or it is open on this side)."""
    high: float | None
    """Upper end of the 95% interval."""
    drawn: IntervalKind | None = None
    """What was drawn for the interval, and so which question it answers; None where there is none, and in
    reports written before it was there."""

    def __post_init__(self) -> None:
        """Figures are rounded once, when they become measures."""
        for name in ("value", "low", "high"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, rounded(value))

    @classmethod
    def of(
        cls,
        name: str,
        value: float,
        ends: tuple[float, float] | None = None,
        drawn: IntervalKind | None = None,
    ) -> Measure:
        """The measure called `name`: a value that is not finite is none, such an end is open."""
        unit, higher_is_better = MEASURES[name]
        low, high = (None, None) if ends is None else (_finite(end) for end in ends)
        return cls(
            name=name,
            value=_finite(value),
            unit=unit,
            higher_is_better=higher_is_better,
            low=low,
            high=high,
            drawn=None if ends is None else drawn,
        )


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
