"""What stands in the terminal at the end of a run and of a ranking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reghar.report.ranking import Ranking
from reghar.report.schema import MeasureRecord, Report
from reghar.report.text import measured, plain
from reghar.report.verdict import verdict
from reghar.terminal import printable, table, terminal_width

SHOWN = {
    "accuracy_at_l_max": "accuracy at L_max",
    "mean_length": "mean length",
    "reg": "REG (tokens)",
}
"""Measures of both tables, by name, with their headings."""

_Lookup = Callable[[str], MeasureRecord | None]


def summary(report: Report, path: Path) -> str:
    """The end of a run: the verdict, one row per task, the paths of report and picture."""
    rows: list[tuple[str, ...] | None] = [
        (name, *_cells(task.measure)) for name, task in report.tasks.items()
    ]
    if len(report.tasks) > 1:
        rows += [None, ("average", *_cells(report.average.measure))]
    shown = table(("task", *SHOWN.values()), rows, width=terminal_width())
    return f"{printable(verdict(report))}\n\n{shown}\n{_paths(path)}"


def ranking(ranked: Ranking, path: Path) -> str:
    """Several runs, best first, and the paths of their report and picture."""
    rows = [(place, report.model, *_cells(report.overall)) for place, report in ranked.places()]
    shown = table(("place", "model", *SHOWN.values()), rows, names=2, width=terminal_width())
    return f"{shown}\n{_paths(path)}"


def _cells(measure: _Lookup) -> list[str]:
    """REG with its interval, the others without."""
    return [measured(measure(name)) if name == "reg" else plain(measure(name)) for name in SHOWN]


def _paths(path: Path) -> str:
    picture = path.with_name("curves.png")
    return f"report:  {printable(str(path))}\npicture: {printable(str(picture))}\n"
