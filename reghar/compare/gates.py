"""What is gated: one measure, on one task or on average, with a tolerance."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reghar.errors import InputError

GATED_MEASURES = {
    "reg": "reg",
    "accuracy": "accuracy_at_l_max",
    "accuracy_full": "accuracy_full",
    "mean_length": "mean_length",
    "control": "control",
}
"""Measures that can be gated, and what reports call them; `accuracy@BUDGET` is one more."""
_AT_BUDGET = re.compile(r"accuracy@([0-9]{1,9})")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One condition. Raises InputError for an unknown measure or a tolerance that is none."""

    measure: str
    """One of `GATED_MEASURES`, or `accuracy@BUDGET`."""
    task: str | None = None
    """None: the average over tasks."""
    tolerance: float = 0.0
    """How much worse is tolerated, in the measure's unit (tokens; accuracy as a fraction; control in %)."""
    limit: float | None = None
    """Most tokens of REG against the frontier; None: compared with the baseline."""

    def __post_init__(self) -> None:
        """Validates."""
        if self.measure not in GATED_MEASURES and not _AT_BUDGET.fullmatch(self.measure):
            known = ", ".join([*GATED_MEASURES, "accuracy@BUDGET"])
            raise InputError(f"{self.measure!r} cannot be gated: choose among {known}")
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise InputError(f"tolerance {self.tolerance:g} of {self.measure}: give a number from 0 on")
        if self.measure.startswith("accuracy") and self.tolerance >= 1:
            raise InputError(
                f"tolerance {self.tolerance:g} of {self.measure}: give a fraction, 0.02 for 2 points"
            )
        if self.limit is not None and self.measure != "reg":
            raise InputError(f"a limit on {self.measure} is not known: only reg has one, against a frontier")
        if self.limit is not None and not math.isfinite(self.limit):
            raise InputError(f"the limit of reg must be a number of tokens, not {self.limit:g}")

    @property
    def budget(self) -> int | None:
        """Of `accuracy@BUDGET`, tokens."""
        found = _AT_BUDGET.fullmatch(self.measure)
        return int(found[1]) if found else None

    @property
    def reported(self) -> str:
        """What reports call the measure (accuracy at a budget: that of a run that ends there)."""
        return GATED_MEASURES.get(self.measure, "accuracy_at_l_max")

    @property
    def place(self) -> str:
        """Where it is taken, for people."""
        return "on average" if self.task is None else f"on {self.task}"

    @property
    def name(self) -> str:
        """For people: `reg on average`."""
        return f"{self.measure} {self.place}"


def gates_from_flags(
    measures: Sequence[str], task: str | None, tolerances: Sequence[str], limit: float | None
) -> list[Gate]:
    """The gates that the flags ask for: `reg` where no measure is named and there is no limit.

    A tolerance is `VALUE`, where there is one gate, or `MEASURE=VALUE`. Raises InputError.
    """
    names = list(dict.fromkeys(measures)) or ([] if limit is not None else ["reg"])
    found = _tolerances(tolerances, names, limit)
    gates = [Gate(measure=name, task=task, tolerance=found.get(name, 0.0)) for name in names]
    if limit is not None:
        own = 0.0 if "reg" in names else found.get("reg", 0.0)
        gates.append(Gate(measure="reg", task=task, tolerance=own, limit=limit))
    return gates


def _tolerances(entries: Sequence[str], names: Sequence[str], limit: float | None) -> dict[str, float]:
    known = [*names, *(["reg"] if limit is not None and "reg" not in names else [])]
    found: dict[str, float] = {}
    for entry in entries:
        name, equals, text = entry.rpartition("=")
        if not equals and len(known) > 1:
            raise InputError(f"--tolerance {entry}: for which of {', '.join(known)}? Give MEASURE=VALUE")
        name = name if equals else known[0]
        if name not in known:
            raise InputError(f"--tolerance {entry}: {name} is not gated, only {', '.join(known)}")
        try:
            found[name] = float(text)
        except ValueError as error:
            raise InputError(f"--tolerance {entry}: {text!r} is not a number") from error
    return found
