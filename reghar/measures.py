"""A task's outcomes and its frontier to the named measures that reports show and checks compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reghar.curves import Curve
from reghar.metrics import RegResult
from reghar.stats import Expansion


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


@dataclass(frozen=True, kw_only=True)
class TaskMeasures:
    """Everything that a report shows of one model on one task."""

    task: str
    curve: Curve
    low: NDArray[np.float64] | None
    """Shape (B,): lower ends of the curve's 95% intervals; None where there are no intervals."""
    high: NDArray[np.float64] | None
    frontier: NDArray[np.float64] | None
    """Shape (B,): the frontier's accuracy at the curve's budgets; None without a frontier."""
    outcomes: dict[str, list[int]]
    """Outcome name to its count at each budget, lists of length B."""
    full_outcomes: dict[str, int]
    """Outcome name to its count over the whole traces' own answers."""
    measures: tuple[Measure, ...]
    reg: RegResult | None
    replicates: dict[str, NDArray[np.float64]]
    """Measure name to its bootstrap replicates, shape (R,); empty where there are no intervals."""
    expansion: Expansion | None
    """The correction of percentile levels for few problems; None where there are no intervals."""
    problems: tuple[str, ...]
    """Ids of the problems that the measures are taken over, in the task's order."""
    notes: tuple[str, ...]

    def measure(self, name: str) -> Measure:
        """The measure called `name`; KeyError where there is none."""
        return {measure.name: measure for measure in self.measures}[name]
