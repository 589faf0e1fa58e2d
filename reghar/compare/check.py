"""A check from what the user named to its verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reghar.compare.environments import environment_notes
from reghar.compare.evidence import EvidenceSide, NamedSide, ReportSide, StoredSide
from reghar.compare.gates import Gate
from reghar.compare.measured import Bootstrap, outcomes_of_sides, shared_reference
from reghar.compare.sides import require_equal_protocols, shared_problems
from reghar.compare.verdicts import Undecided, Verdict, exit_code, verdicts
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice, frontier_identity
from reghar.frontiers.frontier import load_frontier
from reghar.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class Check:
    """A candidate at its gates."""

    candidate: str
    """Label."""
    baseline: str | None
    """Label; None where all gates have a limit."""
    verdicts: tuple[Verdict, ...]
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    """Label to (budget in tokens, accuracy as a fraction), the mean over tasks; candidate first."""
    notes: tuple[str, ...]

    undecided: Undecided = "fail"
    """Whether a gate that is undecided fails the check."""

    @property
    def exit_code(self) -> int:
        """0 not worse, 1 worse, 4 undecided."""
        return exit_code(self.verdicts, self.undecided)


def check(
    candidate: NamedSide,
    baseline: NamedSide | None,
    gates: Sequence[Gate],
    *,
    frontier: str | None = None,
    bootstrap: Bootstrap | None = None,
    allowed: Sequence[str] = (),
    undecided: Undecided = "fail",
) -> Check:
    """Tests the candidate at all gates together.

    Raises InputError where candidate and baseline must not be compared, or a gate cannot be tested.
    """
    notes: list[str] = []
    if baseline is not None:
        notes += _require_comparable(candidate, baseline, gates, allowed)
    given = [one for one in (baseline, candidate) if one is not None]
    bootstrap = bootstrap or Bootstrap()
    for one in given:
        _require_as_reported(one, frontier, bootstrap)
    sides = [one.side for one in given if one.side is not None]
    reference, problems = FrontierChoice(), {}
    if sides:
        problems = shared_problems(sides)
        reference = shared_reference(sides, sides[0], frontier)
        _require_whole(problems, [one.protocol for one in given])
        notes += reference.notes
    outcomes = iter(outcomes_of_sides(sides, problems))
    sources = [one.source(() if one.side is None else next(outcomes), reference, bootstrap) for one in given]
    ours, theirs = sources[-1], sources[0] if baseline is not None else None
    same = theirs is not None and ours.label == theirs.label
    names = [candidate.name if same else ours.label]
    if theirs is not None and baseline is not None:
        names.append(baseline.name if same else theirs.label)
    return Check(
        candidate=names[0],
        baseline=None if theirs is None else names[1],
        verdicts=tuple(verdicts(gates, ours, theirs)),
        undecided=undecided,
        curves={name: source.curve() for name, source in zip(names, reversed(sources), strict=True)},
        notes=(*notes, *environment_notes(sides), *_notes(sources, paired=theirs is not None)),
    )


def _require_comparable(
    candidate: NamedSide, baseline: NamedSide, gates: Sequence[Gate], allowed: Sequence[str]
) -> list[str]:
    notes = require_equal_protocols(
        candidate.name, candidate.protocol, baseline.name, baseline.protocol, allowed
    )
    for given in (candidate, baseline):
        for run in given.side.runs[1:] if given.side is not None else ():
            first = given.protocol
            require_equal_protocols(str(run.path), run.protocol, given.name, first)
    if (
        any(gate.measure == "reg" for gate in gates)
        and candidate.protocol.budgets != baseline.protocol.budgets
    ):
        raise InputError(
            "REG on another grid is another measure: gate accuracy@BUDGET, or use the same budgets"
        )
    return notes


def _require_as_reported(given: NamedSide, frontier: str | None, bootstrap: Bootstrap) -> None:
    """A report's figures stand: another frontier or another kind of interval would need its samples."""
    report = given.report
    if report is None:
        return
    if report.interval.kind != bootstrap.interval:
        raise InputError(
            f"the intervals in {given.name} are over {report.interval.kind}, asked for are intervals over "
            f"{bootstrap.interval}: give --interval {report.interval.kind}, or the run's folder"
        )
    if frontier in (None, "auto", "none"):
        return
    known, wanted = report.frontier, load_frontier(str(frontier))
    if known is None or known.sha256 != wanted.sha256:
        has = "no frontier" if known is None else f"the frontier {frontier_identity(known)}"
        raise InputError(
            f"{given.name} was written against {has}, not against {frontier}: write it again with "
            f"`reghar report RUN --frontier {frontier}`, or give the run's folder"
        )


def _require_whole(problems: Mapping[str, tuple[str, ...]], protocols: Sequence[Protocol]) -> None:
    """A gate is on whole tasks: a difference in problems that was allowed leaves too little of them."""
    for protocol in protocols:
        for task, settings in protocol.tasks.items():
            if len(problems.get(task, ())) != len(settings.problem_ids):
                raise InputError(f"{task}: the sides were run on other problems; run both on the same")


def _notes(sources: Sequence[EvidenceSide], *, paired: bool) -> list[str]:
    sampled = [source for source in sources if isinstance(source, StoredSide)]
    grids = [
        f"{task.task}: {note}"
        for source in sampled
        for task in source.measured().tasks
        for note in (() if task.reg is None else task.reg.notes)
    ]
    said = [(task.task, task.notes) for source in sampled for task in source.measured().tasks]
    said += [
        (name, task.notes)
        for source in sources
        if isinstance(source, ReportSide)
        for name, task in source.report.tasks.items()
    ]
    # What few problems, or clusters of them, do to intervals and verdicts.
    few = [f"{name}: {note}" for name, lines in said for note in lines if "intervals" in note]
    notes = list(dict.fromkeys([*grids, *few]))
    reports = [source.label for source in sources if isinstance(source, ReportSide)]
    if not (paired and reports):
        return notes
    return [
        *notes,
        f"only the report of {' and of '.join(reports)} is at hand, not its samples: the test is not paired "
        "by problem and finds less; give the run's folder to pair",
    ]
