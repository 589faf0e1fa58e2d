"""Verdicts as sentences, as Markdown for a job's summary and as JUnit XML for a CI server."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from reghar.compare.cell_text import figure_text, p_text, signed
from reghar.compare.check import Check
from reghar.compare.verdicts import Verdict, exit_code
from reghar.measures.catalogue import QUESTIONS
from reghar.report.markdown import raw_figure
from reghar.report.templates import render
from reghar.terminal import printable

_STATES = {"worse": "WORSE", "not worse": "not worse", "undecided": "UNDECIDED"}
_TESTS = {
    "paired": "paired by problem",
    "unpaired": "unpaired, from the intervals of the two reports",
    "limit": "from the figure's own sampling error",
}
_HEADER = ("Gate", "Run", "Baseline", "Difference", "95% limits", "p", "Tolerated", "Verdict")


def sentence(verdict: Verdict) -> str:
    """One verdict with its figures, in one sentence."""
    found = verdict.evidence
    difference = found.difference
    noun = "points" if found.unit == "fraction" else "tokens" if found.unit == "tokens" else found.unit
    against = "against the limit of" if found.test == "limit" else "against"
    figures = ""
    if found.value is not None:
        value, base = (_with_percent(one, found.unit) for one in (found.value, found.base))
        figures = f"{value} {against} {base}, "
    return (
        f"{verdict.gate.name}: {_STATES[verdict.state]}{_aside(verdict)}: {figures}"
        f"{signed(difference.value, found.unit)} {noun} (one-sided 95% limits {_limits(verdict)}, "
        f"{_p_value(verdict)}, {figure_text(verdict.detectable, found.unit)} detectable), "
        f"{figure_text(verdict.gate.tolerance, found.unit)} tolerated; {_TESTS[found.test]}"
        f"{_question(verdict)}.{_to_decide(verdict)}"
    )


def _aside(verdict: Verdict) -> str:
    """What is established beside the verdict."""
    if verdict.state != "not worse" or not verdict.differs:
        return ""
    return " (better)" if verdict.worsening < 0 else " (but for what is tolerated)"


def _p_value(verdict: Verdict) -> str:
    """Of the claim that the verdict makes; of the nearer one where it makes none."""
    corrected = f" corrected for {verdict.gates} gates" if verdict.gates > 1 else ""
    return f"p = {p_text(_claimed(verdict))}".replace("= <", "< ") + corrected


def _claimed(verdict: Verdict) -> float:
    worse = verdict.worsening > verdict.gate.tolerance
    return verdict.p_worse if worse else verdict.p_not_worse


def _question(verdict: Verdict) -> str:
    drawn = verdict.evidence.drawn
    return "" if drawn is None else f"; {QUESTIONS[drawn]}"


def _to_decide(verdict: Verdict) -> str:
    """What would decide, if anything: the difference as it is, with more problems or samples."""
    if verdict.state != "undecided":
        return ""
    found, needed = verdict.evidence, verdict.units_to_decide
    if found.units is None:
        return " More problems or samples would decide; give both runs' folders to learn how many."
    if needed is None:
        return " The difference is the tolerance itself: only another tolerance would decide."
    what = "problems" if found.drawn == "problems" else "samples per problem"
    count = f"about {needed:,}" if needed <= 1_000_000 else "more than a million"
    return (
        f" If the difference stays, {count} {what} would decide (now {found.units:,}), or a larger tolerance."
    )


def _limits(verdict: Verdict) -> str:
    low, high = verdict.limits
    return f"{signed(low, verdict.evidence.unit)} to {signed(high, verdict.evidence.unit)}"


def _with_percent(value: float | None, unit: str) -> str:
    return f"{figure_text(value, unit)}{'%' if unit == 'fraction' else ''}"


def headline(check: Check) -> str:
    """The outcome of all gates together."""
    against = "" if check.baseline is None else f" against {check.baseline}"
    states = [verdict.state for verdict in check.verdicts]
    worse, undecided = states.count("worse"), states.count("undecided")
    if worse:
        outcome = f"FAILED ({worse} of {len(states)} gates worse)"
    elif undecided:
        passes = ", which passes here" if check.undecided == "pass" else ""
        outcome = f"UNDECIDED ({undecided} of {len(states)} gates{passes})"
    else:
        outcome = "passed"
    return f"{check.candidate}{against}: {outcome}"


def lines(check: Check) -> Iterator[str]:
    """What the terminal shows: a sentence a verdict, notes, the outcome."""
    for verdict in check.verdicts:
        yield printable(sentence(verdict))
    for note in check.notes:
        yield printable(f"note: {note}")
    yield printable(headline(check))


def check_markdown(check: Check) -> str:
    """A section for a CI job's summary, with the curves as a Mermaid chart: a summary draws one, but shows
    no picture that is not hosted."""
    budgets = [budget for budget, _ in next(iter(check.curves.values()))]
    return render(
        "check.md.jinja",
        headline=headline(check),
        header=list(_HEADER),
        rows=map(_row, check.verdicts),
        sentences=map(sentence, check.verdicts),
        notes=check.notes,
        budgets=raw_figure(", ".join(f'"{budget}"' for budget in budgets)),
        lines=[
            raw_figure(", ".join(f"{100 * accuracy:.1f}" for _, accuracy in points))
            for points in check.curves.values()
        ],
        names=list(check.curves),
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    found = verdict.evidence
    difference = found.difference
    return (
        f"{verdict.gate.name}{' (%)' if found.unit == 'fraction' else ''}",
        figure_text(found.value, found.unit),
        figure_text(found.base, found.unit),
        signed(difference.value, found.unit),
        _limits(verdict),
        p_text(_claimed(verdict)),
        figure_text(verdict.gate.tolerance, found.unit),
        _STATES[verdict.state],
    )


def junit(check: Check) -> str:
    """JUnit XML: one test case per gate, failed where the run is worse, or undecided and that fails."""
    failed = [verdict for verdict in check.verdicts if _fails(verdict, check)]
    suite = ElementTree.Element(
        "testsuite",
        name="reghar check",
        tests=str(len(check.verdicts)),
        failures=str(len(failed)),
        errors="0",
        skipped="0",
    )
    for verdict in check.verdicts:
        text = printable(sentence(verdict))
        where = "average" if verdict.gate.task is None else verdict.gate.task
        limit = "" if verdict.gate.limit is None else " limit"
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"reghar.check.{printable(where)}",
            name=f"{verdict.gate.measure}{limit}",
        )
        if _fails(verdict, check):
            ElementTree.SubElement(case, "failure", message=text, type=verdict.state).text = text
        ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _fails(verdict: Verdict, check: Check) -> bool:
    return exit_code([verdict], check.undecided) != 0
