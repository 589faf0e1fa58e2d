"""One figure of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from reghar.measures.estimate import Difference


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measure of one side on one task, and what it is to the baseline's."""

    task: str
    """A task, or the average row."""
    side: str
    """Label of the side."""
    measure: str
    unit: str
    higher_is_better: bool | None
    value: float | None
    """In `unit`; None where the measure does not exist."""
    change: float | None
    """Against the baseline, as a fraction of it; None for the baseline, and where that is not above 0."""
    difference: Difference | None
    """Side minus baseline, paired; None for the baseline, and where there can be no interval."""
