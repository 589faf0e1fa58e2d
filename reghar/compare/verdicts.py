"""Gates to verdicts: worse is a difference beyond noise and beyond the tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr

from reghar.compare.evidence import Sampled, Source
from reghar.compare.gates import Gate
from reghar.compare.measured import paired
from reghar.errors import InputError
from reghar.measures.bootstrap import Difference, detectable_difference, holm
from reghar.measures.catalogue import Measure

LEVEL = 0.05
"""Two-sided. All gates of a check together call a run worse by noise alone in at most half of this share."""
_QUANTILE = 1.959963984540054
"""Standard errors in half of a 95% interval."""

Test = Literal["paired", "unpaired", "limit"]
State = Literal["worse", "tolerated", "same", "better"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about one gate."""

    gate: Gate
    test: Test
    """Paired by problem; from two intervals; or from one interval against the limit."""
    value: float | None
    """The candidate's figure; None for REG without a frontier, of which only the difference is known."""
    base: float | None
    """The baseline's figure, or the limit."""
    unit: str
    harm: float
    """+1 where a higher figure is worse, -1 where a lower one is."""
    difference: Difference
    """Candidate minus baseline or limit."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One gate, judged."""

    evidence: Evidence
    p_value: float
    """Two-sided, corrected for the number of gates (Holm)."""
    gates: int
    """How many were judged together."""

    @property
    def gate(self) -> Gate:
        """What was judged."""
        return self.evidence.gate

    @property
    def worsening(self) -> float:
        """The difference, positive where the candidate is worse, in the measure's unit."""
        return self.evidence.harm * self.evidence.difference.value

    @property
    def state(self) -> State:
        """`tolerated` is worse beyond noise, but within the tolerance."""
        if self.p_value >= LEVEL or self.worsening == 0:
            return "same"
        if self.worsening < 0:
            return "better"
        return "worse" if self.worsening > self.gate.tolerance else "tolerated"

    @property
    def passed(self) -> bool:
        """False where the run is worse."""
        return self.state != "worse"


def judge(gates: Sequence[Gate], candidate: Source, baseline: Source | None) -> list[Verdict]:
    """A verdict a gate, in order; `baseline` may be None where all gates have a limit.

    Raises InputError where a figure does not exist or has no interval: then nothing can be said.
    """
    evidence = [gather(gate, candidate, baseline) for gate in gates]
    return decide(evidence)


def decide(evidence: Sequence[Evidence]) -> list[Verdict]:
    """All gates judged together: their p-values are corrected by Holm's method (definitions: Statistics)."""
    adjusted = holm([one.difference.p_value for one in evidence])
    return [
        Verdict(evidence=one, p_value=p_value, gates=len(evidence))
        for one, p_value in zip(evidence, adjusted, strict=True)
    ]


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 same or better, 1 worse."""
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def gather(gate: Gate, candidate: Source, baseline: Source | None) -> Evidence:
    """The test that the sources allow. Raises InputError where they allow none."""
    if gate.limit is not None:
        return _against_limit(gate, candidate, gate.limit)
    if baseline is None:
        raise InputError(f"the gate on {gate.name} needs a baseline: give --baseline RUN-or-report.json")
    ours, theirs = candidate.figure(gate), baseline.figure(gate)
    if gate.measure == "reg" and (ours is None or theirs is None or candidate.frontier != baseline.frontier):
        # Without a shared frontier two figures of REG say nothing; their difference does.
        ours = theirs = None
    elif ours is None or theirs is None:
        raise InputError(f"there is no {gate.name} in {candidate.label if ours is None else baseline.label}")
    if isinstance(candidate, Sampled) and isinstance(baseline, Sampled):
        test: Test = "paired"
        difference = paired(
            gate.reported, candidate.measured(gate.budget), baseline.measured(gate.budget), gate.task
        )
    else:
        test = "unpaired"
        difference = _unpaired(gate, candidate, baseline)
    if difference is None:
        raise InputError(
            f"{gate.name} cannot be judged: without at least 2 problems (2 samples for --interval samples) "
            "there is no interval"
        )
    shown = ours or _figure_of_reg(gate)
    return Evidence(
        gate=gate,
        test=test,
        value=None if ours is None else ours.value,
        base=None if theirs is None else theirs.value,
        unit=shown.unit,
        harm=-1.0 if shown.higher_is_better else 1.0,
        difference=difference,
    )


def _figure_of_reg(gate: Gate) -> Measure:
    return Measure(name=gate.measure, value=None, unit="tokens", higher_is_better=False, low=None, high=None)


def _against_limit(gate: Gate, candidate: Source, limit: float) -> Evidence:
    figure = candidate.figure(gate)
    if figure is None or figure.value is None:
        raise InputError(
            f"there is no REG {gate.place} for {candidate.label}: name a frontier with --frontier"
        )
    fixed = Measure(
        name=figure.name, value=limit, unit=figure.unit, higher_is_better=False, low=limit, high=limit
    )
    difference = independent_difference(figure, fixed)
    if difference is None:
        raise InputError(f"REG {gate.place} cannot be judged: without at least 2 problems it has no interval")
    return Evidence(
        gate=gate,
        test="limit",
        value=figure.value,
        base=limit,
        unit=figure.unit,
        harm=1.0,
        difference=difference,
    )


def _unpaired(gate: Gate, candidate: Source, baseline: Source) -> Difference | None:
    """As for pairs, a difference of REG is that of the areas: the frontier has no part in it."""
    if gate.measure != "reg":
        ours, theirs = candidate.figure(gate), baseline.figure(gate)
    else:
        ours, theirs = baseline.area(gate), candidate.area(gate)
    return None if ours is None or theirs is None else independent_difference(ours, theirs)


def independent_difference(one: Measure, other: Measure) -> Difference | None:
    """one - other of independent figures from their 95% intervals alone; None without intervals.

    The half-widths that face each other add up in squares (Zou and Donner, "Construction of confidence
    limits about effect measures", Statistics in Medicine 27, 2008), so that skew is kept; the p-value
    is the normal one whose interval would just touch 0.
    """
    if one.value is None or other.value is None:
        return None
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    value = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    facing = below if value > 0 else above
    distance = abs(value) / facing if facing > 0 else 0.0 if value == 0 else math.inf
    error = (below + above) / 2 / _QUANTILE
    return Difference(
        value=value,
        low=value - below,
        high=value + above,
        p_value=2 * float(ndtr(-_QUANTILE * distance)),
        standard_error=error,
        detectable=detectable_difference(error),
    )
