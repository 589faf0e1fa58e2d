"""Tables for the terminal. Everything is rich `Text`, never markup: no name can style or hide itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.report.ranking import Ranking
from reghar.report.schema import MeasureRecord, Report
from reghar.report.text import measured, model_name, plain, printable
from reghar.report.verdict import verdict

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

SHOWN = {
    "accuracy_at_l_max": "accuracy at L_max",
    "mean_length": "mean length",
    "reg": "REG (tokens)",
}
"""Measures of both tables, by name, with their headings."""

_Lookup = Callable[[str], MeasureRecord | None]


def summary(report: Report, path: Path) -> Group:
    """What stands at the end of a run: the verdict, a row a task, the paths of report and picture."""
    from rich.console import Group
    from rich.text import Text

    table = _table(("task", *SHOWN.values()))
    for name, task in report.tasks.items():
        _row(table, (name, *_cells(task.measure)))
    if len(report.tasks) > 1:
        table.add_section()
        _row(table, ("average", *_cells(report.average.measure)))
    lines: list[RenderableType] = [
        Text(printable(verdict(report)), style="" if report.complete else "bold red"),
        table,
        _path(path),
    ]
    return Group(*lines)


def ranking(ranked: Ranking, path: Path) -> Group:
    """Several runs, best first, and the paths of their page and picture."""
    from rich.console import Group

    table = _table(("place", "model", *SHOWN.values()))
    for place, report in ranked.places():
        _row(table, (place, model_name(report.model), *_cells(report.overall)))
    return Group(table, _path(path))


def _cells(measure: _Lookup) -> list[str]:
    """REG with its interval, the others without: a line has to fit into 80 columns."""
    return [measured(measure(name)) if name == "reg" else plain(measure(name)) for name in SHOWN]


def _table(header: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        named = i == 0 or name == "model"
        table.add_column(name, justify="left" if named else "right", overflow="fold", no_wrap=name != "model")
    return table


def _row(table: Table, cells: Sequence[str]) -> None:
    from rich.text import Text

    table.add_row(*(Text(printable(cell)) for cell in cells))


def _path(path: Path) -> RenderableType:
    from rich.text import Text

    lines = (f"report:  {printable(str(path))}", f"picture: {printable(str(path.with_name('curves.png')))}")
    return Text("\n".join(lines), overflow="fold")
