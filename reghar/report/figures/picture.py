"""The files of a figure: panels beside each other, drawn and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.measures.catalogue import Measure
from reghar.report.figures import style
from reghar.report.figures.axes import (
    shared_legend,
)
from reghar.report.text import measured, model_name
from reghar.store.parts import write_aside
from reghar.terminal import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADING = 36
"""Characters of a panel's heading: a longer one would reach into the next panel."""

Panel = tuple[str, Callable[["Axes"], None]]
"""A heading, shown where there are several panels, and what draws the panel."""


def save(
    panels: Sequence[tuple[str, Callable[[Axes], None]]],
    stem: Path,
    *,
    formats: Sequence[str] = ("png", "svg"),
) -> list[Path]:
    """Draw one panel for every (heading, draw) and write `stem`.png and `stem`.svg; the files written.

    Files are written aside and renamed: no reader meets half a figure.
    """
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with style.styled():
        figure = Figure(figsize=(style.COLUMN_WIDTH * columns, style.PANEL_HEIGHT * rows + 0.3))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (heading, draw) in zip(grid, panels, strict=False):
            draw(axes)
            if len(panels) > 1:
                axes.set_title(shortened(printable(heading), _HEADING), loc="left", fontweight="bold")
        for axes in grid[len(panels) :]:
            axes.remove()
        shared_legend(figure)
        files = [stem.with_name(f"{stem.name}.{kind}") for kind in formats]
        for file, kind in zip(files, formats, strict=True):
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            write_aside(file, partial(figure.savefig, format=kind, metadata=metadata))
        return files


def model_label(name: str, reg: Measure | None = None) -> str:
    """A legend entry: the model's own name and its REG where there is one."""
    short = model_name(name)
    return short if reg is None or reg.value is None else f"{short}, REG {measured(reg)}"
