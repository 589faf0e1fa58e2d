"""Every measure: its name, unit and direction, and one figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reghar.measures.reg import LEVELS

IntervalKind = Literal["problems", "samples"]

MEASURES: Mapping[str, tuple[str, bool | None]] = {
    "reg": ("tokens", False),
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
    "share_unfinished": ("fraction", False),
    "share_looped": ("fraction", False),
    "share_thinking": ("fraction", None),
    "share_thinking_unclosed": ("fraction", False),
    **{f"tokens_to_{level}": ("tokens", False) for level in LEVELS},
    **{f"frontier_tokens_to_{level}": ("tokens", None) for level in LEVELS},
    "wasted_tokens_reading": ("tokens", False),
    "control": ("%", True),
    "scaling": ("points per doubling", True),
    "scaling_per_1000": ("points per 1,000 tokens", True),
    "performance": ("%", True),
}
"""Every measure: its name, unit, and whether higher is better. Docs: `docs/report.md`."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One named figure with its interval."""

    name: str
    """Stable name, one of `MEASURES`."""
    value: float | None
    """None where the figure does not exist; the notes say why."""
    unit: str
    higher_is_better: bool | None
    """None where neither direction is better."""
    low: float | None
    """Lower end of the 95% interval; None where there is no interval (or it is open on this side)."""
    high: float | None
