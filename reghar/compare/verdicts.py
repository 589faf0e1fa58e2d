"""Gates to verdicts: worse, not worse, or undecided.

A gate asks whether the candidate is worse by more than a tolerance. *Worse*: the whole interval of the
difference lies beyond it; *not worse*: the whole interval lies on its near side; *undecided*: it
straddles it, and more problems or samples would tell. Limits are one-sided at 95%, corrected for the
number of gates (Holm). Worse also asks that the difference from 0 is established (two-sided, 5%), so
that a run that is the same is called worse in at most 2.5%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from reghar.compare.evidence import EvidenceSide, StoredSide
from reghar.compare.gates import Gate
from reghar.compare.measured import paired
from reghar.compare.unpaired import independent_difference
from reghar.errors import InputError
from reghar.measures.catalogue import IntervalKind, Measure
from reghar.measures.estimate import Difference, detectable_difference, holm, shifted
from reghar.measures.task import estimate_of

SIGNIFICANCE = 0.05
"""Size of each of the two one-sided tests."""

Test = Literal["paired", "unpaired", "limit"]
State = Literal["worse", "not worse", "undecided"]
Undecided = Literal["pass", "fail"]

CODES: dict[State, int] = {"worse": 1, "undecided": 4, "not worse": 0}
"""Exit codes; of several gates the first state in this order that one of them has."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known about one gate."""

    gate: Gate
    test: Test
    """Paired by problem; from two intervals; or from one figure against the limit."""
    value: float | None
    """The candidate's figure; None for REG without a frontier, of which only the difference is known."""
    base: float | None
    """The baseline's figure, or the limit."""
    unit: str
    harm: float
    """+1 where a higher figure is worse, -1 where a lower one is."""
    difference: Difference
    """Candidate minus baseline or limit."""
    drawn: IntervalKind | None
    """What was drawn; None where only reports are known that do not say."""
    units: int | None
    """Problems in all, or samples per problem, that were drawn from; None where that is not known."""
    fewest: int = 0
    """The least of them with which anything is established; 0 where `units` is not known."""

    @property
    def worsening(self) -> float:
        """The difference, positive where the candidate is worse, in the measure's unit."""
        return self.harm * self.difference.value

    def p_beyond(self, tolerance: float) -> float:
        """One-sided: how surprising so bad a run is if it is worse by at most the tolerance."""
        noise = self.difference.noise
        return noise.p_at_most(tolerance) if self.harm > 0 else noise.p_at_least(-tolerance)

    def p_within(self, tolerance: float) -> float:
        """One-sided: how surprising so good a run is if it is worse by at least the tolerance."""
        if self.difference.standard_error == 0 and self.worsening <= tolerance:
            return 0.0  # the same run, trace by trace
        noise = self.difference.noise
        return noise.p_at_least(tolerance) if self.harm > 0 else noise.p_at_most(-tolerance)

    @property
    def p_worse(self) -> float:
        """Of both things that worse asks for; at tolerance 0 the two-sided p-value."""
        return max(self.p_beyond(self.gate.tolerance), min(1.0, 2 * self.p_beyond(0.0)))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One gate with its verdict."""

    evidence: Evidence
    p_worse: float
    """Of being worse by more than the tolerance only by chance; corrected for the number of gates."""
    p_not_worse: float
    """Of being within the tolerance only by chance; corrected for the number of gates."""
    gates: int
    """How many were tested together."""

    @property
    def gate(self) -> Gate:
        """What was asked."""
        return self.evidence.gate

    @property
    def worsening(self) -> float:
        """See `Evidence.worsening`."""
        return self.evidence.worsening

    @property
    def state(self) -> State:
        """What is established."""
        if self.p_worse <= SIGNIFICANCE and self.worsening > self.gate.tolerance:
            return "worse"
        if self.p_not_worse <= SIGNIFICANCE and self.worsening <= self.gate.tolerance:
            return "not worse"
        return "undecided"

    @property
    def differs(self) -> bool:
        """Whether a difference from 0 is established, two-sided at 5%, whatever is tolerated."""
        return self.evidence.difference.p_value < SIGNIFICANCE / self.gates

    @property
    def limits(self) -> tuple[float, float]:
        """Of the difference: one-sided at 95% each, not corrected."""
        return self.evidence.difference.noise.interval(1 - 2 * SIGNIFICANCE)

    @property
    def detectable(self) -> float:
        """The smallest true difference found with 80% power, at the level that several gates leave."""
        difference = self.evidence.difference
        return detectable_difference(difference.standard_error, difference.df, tests=self.gates)

    @property
    def units_to_decide(self) -> int | None:
        """Problems in all, or samples per problem, that would decide if the difference stayed as it is.

        None where the number is not known, or no number would: the difference is the tolerance itself.
        """
        found, tolerance = self.evidence, self.gate.tolerance
        error, df = found.difference.standard_error, found.difference.df
        if found.units is None or not math.isfinite(error):
            return None
        level = SIGNIFICANCE / self.gates
        one_sided, two_sided = (float(-stdtrit(df, size)) for size in (level, level / 2))
        distances = [(one_sided, abs(self.worsening - tolerance))]
        if self.worsening > tolerance:
            distances.append((two_sided, self.worsening))
        if any(distance * 1000 <= error for _, distance in distances):
            return None
        growth = max((quantile * error / distance) ** 2 for quantile, distance in distances)
        return max(found.fewest, found.units + 1, math.ceil(found.units * growth))


def verdicts(gates: Sequence[Gate], candidate: EvidenceSide, baseline: EvidenceSide | None) -> list[Verdict]:
    """One verdict per gate, in order; `baseline` may be None where all gates have a limit.

    Raises InputError where a figure does not exist or has no interval: then nothing can be said.
    """
    return decide([gather(gate, candidate, baseline) for gate in gates])


def decide(evidence: Sequence[Evidence]) -> list[Verdict]:
    """All gates tested together: their p-values are corrected by Holm's method, for each of both claims."""
    worse = holm([one.p_worse for one in evidence])
    within = holm([one.p_within(one.gate.tolerance) for one in evidence])
    return [
        Verdict(evidence=one, p_worse=p_worse, p_not_worse=p_not_worse, gates=len(evidence))
        for one, p_worse, p_not_worse in zip(evidence, worse, within, strict=True)
    ]


def exit_code(verdicts: Sequence[Verdict], undecided: Undecided = "fail") -> int:
    """1 where a gate is worse, else 4 where one is undecided (0 if that may pass), else 0."""
    states = {verdict.state for verdict in verdicts}
    code = next((code for state, code in CODES.items() if state in states), 0)
    return 0 if code == CODES["undecided"] and undecided == "pass" else code


def gather(gate: Gate, candidate: EvidenceSide, baseline: EvidenceSide | None) -> Evidence:
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
    drawn: IntervalKind | None = None
    units, fewest = None, 0
    if isinstance(candidate, StoredSide) and isinstance(baseline, StoredSide):
        test: Test = "paired"
        sides = candidate.measured(gate.budget), baseline.measured(gate.budget)
        difference = paired(gate.reported, *sides, gate.task)
        drawn = candidate.bootstrap.interval
        units = min(side.units(gate.task, drawn) for side in sides)
        fewest = max(side.fewest_units(gate.task, drawn) for side in sides)
    else:
        test = "unpaired"
        difference = _unpaired(gate, candidate, baseline)
    if difference is None:
        raise InputError(
            f"{gate.name} cannot be tested: without at least 2 problems (2 samples for --interval samples) "
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
        drawn=drawn,
        units=units,
        fewest=fewest,
    )


def _figure_of_reg(gate: Gate) -> Measure:
    return Measure(name=gate.measure, value=None, unit="tokens", higher_is_better=False, low=None, high=None)


def _against_limit(gate: Gate, candidate: EvidenceSide, limit: float) -> Evidence:
    """From the same sampling error as the interval that the report shows."""
    figure = candidate.figure(gate)
    if figure is None or figure.value is None:
        raise InputError(
            f"there is no REG {gate.place} for {candidate.label}: name a frontier with --frontier"
        )
    units, fewest = None, 0
    difference: Difference | None
    if isinstance(candidate, StoredSide):
        side = candidate.measured()
        estimate = estimate_of(gate.reported, side.of(gate.task))
        difference = None if estimate is None else Difference.of(shifted(estimate, -limit))
        if figure.drawn is not None:
            units = side.units(gate.task, figure.drawn)
            fewest = side.fewest_units(gate.task, figure.drawn)
    else:
        fixed = Measure(
            name=figure.name, value=limit, unit=figure.unit, higher_is_better=False, low=limit, high=limit
        )
        difference = independent_difference(figure, fixed)
    if difference is None:
        raise InputError(
            f"REG {gate.place} cannot be tested: it has no interval; it needs at least 2 problems, and 2 "
            "samples per problem where the frontier holds task means only"
        )
    return Evidence(
        gate=gate,
        test="limit",
        value=figure.value,
        base=limit,
        unit=figure.unit,
        harm=1.0,
        difference=difference,
        drawn=figure.drawn,
        units=units,
        fewest=fewest,
    )


def _unpaired(gate: Gate, candidate: EvidenceSide, baseline: EvidenceSide) -> Difference | None:
    """As for pairs, a difference of REG is that of the areas: the frontier has no part in it."""
    if gate.measure != "reg":
        ours, theirs = candidate.figure(gate), baseline.figure(gate)
    else:
        ours, theirs = baseline.area(gate), candidate.area(gate)
    return None if ours is None or theirs is None else independent_difference(ours, theirs)
