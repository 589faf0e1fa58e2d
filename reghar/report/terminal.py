"""Tables for the terminal. Everything is rich `Text`, never markup: no name can style or hide itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.report.ranking import COLUMNS, Ranking, ranking_rows
from reghar.report.schema import Report
from reghar.report.text import measured, printable
from reghar.report.verdict import verdict

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

SHOWN = {
    "accuracy_at_l_max": "accuracy at L_max",
    "mean_length": "mean length",
    "reg": "REG (tokens)",
}
"""Measures of the table at the end of a run, by name, with their headings."""


def summary(report: Report, path: Path) -> Group:
    """What stands at the end of a run: the verdict, a row a task, the path of the report."""
    from rich.console import Group
    from rich.text import Text

    table = _table(("task", *SHOWN.values()))
    for name, task in report.tasks.items():
        _row(table, name, [measured(task.measure(column)) for column in SHOWN])
    if len(report.tasks) > 1:
        table.add_section()
        _row(table, "average", [measured(report.average.measure(column)) for column in SHOWN])
    lines: list[RenderableType] = [
        Text(printable(verdict(report)), style="" if report.complete else "bold red"),
        table,
        Text(f"report: {printable(str(path))}"),
    ]
    return Group(*lines)


def ranking(ranked: Ranking, path: Path) -> Group:
    """Several runs, best first, and the path of their page."""
    from rich.console import Group
    from rich.text import Text

    table = _table(("place", "model", *COLUMNS.values()))
    for row in ranking_rows(ranked):
        _row(table, row[0], row[1:])
    return Group(table, Text(f"report: {printable(str(path))}"))


def _table(header: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 or name == "model" else "right", overflow="fold")
    return table


def _row(table: Table, first: str, cells: Sequence[str]) -> None:
    from rich.text import Text

    table.add_row(*(Text(printable(cell)) for cell in (first, *cells)))
