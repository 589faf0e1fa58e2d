"""What stands in the terminal at the end of a run and of a ranking."""

from __future__ import annotations

from collections.abc import Callable

from reghar.measures.catalogue import Measure
from reghar.report.ranking import Ranking
from reghar.report.schema import Report
from reghar.report.text import measured, plain
from reghar.report.verdict import verdict
from reghar.report.write import WrittenReport
from reghar.terminal import fields, printable, table, terminal_width

SUMMARY_COLUMNS = {
    "accuracy_at_l_max": "accuracy at L_max",
    "mean_length": "mean length",
    "reg": "REG (tokens)",
}
"""Measures of both tables, by name, with their headings."""

_Lookup = Callable[[str], Measure | None]


CONTROL = {
    "control": "Control",
    "scaling": "Scaling (points per doubling)",
    "performance": "Performance (a maximum)",
}
"""Measures of the table of test-time control, by name, with their headings."""


def summary(report: Report, written: WrittenReport) -> str:
    """The end of a run: the verdict, one row per task, test-time control, and where the files lie."""
    rows: list[tuple[str, ...] | None] = [
        (name, *_cells(task.measure)) for name, task in report.tasks.items()
    ]
    if len(report.tasks) > 1:
        rows += [None, ("average", *_cells(report.average.measure))]
    shown = table(("task", *SUMMARY_COLUMNS.values()), rows, width=terminal_width())
    return f"{printable(verdict(report))}\n\n{shown}\n{_control(report)}{_notes(report)}{_paths(written)}"


def _notes(report: Report) -> str:
    """What the verdict refers to, one line per note."""
    notes = [*report.notes]
    for name, task in report.tasks.items():
        notes += [f"{name}: {note}" for note in task.notes]
    lines = "".join(f"note: {printable(note)}\n" for note in notes)
    return f"{lines}\n" if lines else ""


def _control(report: Report) -> str:
    """One row per task and method, where the run has another method than budget forcing on the curve."""
    rows = [
        (name, method.method, *(measured(method.measure(measure)) for measure in CONTROL))
        for name, task in report.tasks.items()
        for method in task.control
    ]
    if all(method == "force" for _, method, *_ in rows):
        return ""
    return f"{table(('task', 'method', *CONTROL.values()), rows, names=2, width=terminal_width())}\n"


def ranking(ranked: Ranking, written: WrittenReport) -> str:
    """Several runs, best first, and where the files lie."""
    rows = [(place, report.model, *_cells(report.overall)) for place, report in ranked.places()]
    shown = table(("place", "model", *SUMMARY_COLUMNS.values()), rows, names=2, width=terminal_width())
    return f"{shown}\n{_paths(written)}"


def _cells(measure: _Lookup) -> list[str]:
    """REG with its interval, the others without."""
    return [measured(measure(name)) if name == "reg" else plain(measure(name)) for name in SUMMARY_COLUMNS]


def _paths(written: WrittenReport) -> str:
    lines = [("report", written.page), *(("picture", picture) for picture in written.pictures)]
    return fields((f"{name}:", str(path)) for name, path in lines)
