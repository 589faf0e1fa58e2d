"""Verdicts as sentences, as Markdown for a job's summary and as JUnit XML for a CI server."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from reghar.compare.check import Check
from reghar.compare.render import figure, p_text, signed
from reghar.compare.verdicts import Verdict
from reghar.report.markdown import figure as raw_figure
from reghar.report.templates import render
from reghar.terminal import printable

_STATES = {
    "worse": "WORSE",
    "tolerated": "worse, but tolerated",
    "same": "same within noise",
    "better": "better",
}
_TESTS = {
    "paired": "paired by problem",
    "unpaired": "unpaired, from the intervals of the two reports",
    "limit": "from the figure's own interval",
}
_HEADER = ("Gate", "Run", "Baseline", "Difference", "95% interval", "p", "Tolerated", "Verdict")


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
    p_value = f"p = {p_text(verdict.p_value)}".replace("= <", "< ")
    corrected = f" corrected for {verdict.gates} gates" if verdict.gates > 1 else ""
    tolerance = figure(verdict.gate.tolerance, found.unit)
    tolerated = f", more than the tolerated {tolerance}" if verdict.state == "worse" else ""
    if verdict.gate.tolerance and not tolerated:
        tolerated = f", {tolerance} tolerated"
    interval = f"95% interval {_interval(verdict)}"
    return (
        f"{verdict.gate.name}: {_STATES[verdict.state]}: {figures}"
        f"{signed(difference.value, found.unit)} {noun} ({interval}, {p_value}{corrected}, "
        f"{figure(difference.detectable, found.unit)} detectable){tolerated}; {_TESTS[found.test]}."
    )


def _interval(verdict: Verdict) -> str:
    found = verdict.evidence
    low, high = found.difference.low, found.difference.high
    return f"{signed(low, found.unit)} to {signed(high, found.unit)}"


def _with_percent(value: float | None, unit: str) -> str:
    return f"{figure(value, unit)}{'%' if unit == 'fraction' else ''}"


def headline(check: Check) -> str:
    """The outcome of all gates together."""
    failed = sum(not verdict.passed for verdict in check.verdicts)
    against = "" if check.baseline is None else f" against {check.baseline}"
    outcome = "passed" if failed == 0 else f"FAILED ({failed} of {len(check.verdicts)} gates)"
    return f"{check.candidate}{against}: {outcome}"


def lines(check: Check) -> Iterator[str]:
    """What the terminal shows: a sentence a verdict, notes, the outcome."""
    for verdict in check.verdicts:
        yield printable(sentence(verdict))
    for note in check.notes:
        yield printable(f"note: {note}")
    yield printable(headline(check))


def markdown(check: Check) -> str:
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
        figure(found.value, found.unit),
        figure(found.base, found.unit),
        signed(difference.value, found.unit),
        _interval(verdict),
        p_text(verdict.p_value),
        figure(verdict.gate.tolerance, found.unit),
        _STATES[verdict.state],
    )


def junit(check: Check) -> str:
    """JUnit XML: one test case per gate, failed where the run is worse."""
    failed = sum(not verdict.passed for verdict in check.verdicts)
    suite = ElementTree.Element(
        "testsuite",
        name="reghar check",
        tests=str(len(check.verdicts)),
        failures=str(failed),
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
        if not verdict.passed:
            ElementTree.SubElement(case, "failure", message=text, type="worse").text = text
        ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
