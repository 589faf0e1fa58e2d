"""What a tracker is sent: figures, tables and pictures of one report or one comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

    from reghar.compare.table import Comparison
    from reghar.measures.catalogue import Measure
    from reghar.report.schema import Report

LoggedValue: TypeAlias = str | float | int | None

MEASURE_COLUMNS = ("task", "measure", "value", "low", "high", "unit")
LOGGED_CURVE_COLUMNS = ("task", "budget", "accuracy", "low", "high", "frontier")
COMPARED_COLUMNS = ("task", "side", "measure", "value", "unit", "difference", "low", "high", "p")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of equal length, one value a column; None where there is no figure."""

    columns: tuple[str, ...]
    rows: tuple[tuple[LoggedValue, ...], ...]

    @property
    def frame(self) -> pd.DataFrame:
        """The same for packages that take a data frame; a column without a single figure stays one."""
        import pandas as pd

        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.columns))


@dataclass(frozen=True, kw_only=True)
class Record:
    """One report or one comparison."""

    name: str
    """What the tracker's run is called."""
    figures: dict[str, float]
    """`task/measure`, and `task/measure_low`, `task/measure_high` where it has an interval; in the measure's
    own unit."""
    tables: dict[str, Table]
    pictures: dict[str, Path]
    """PNG files by the name that they get."""
    about: dict[str, LoggedValue]
    """Whose figures these are: the protocol's digest first."""


def report_record(report: Report, pictures: Sequence[Path], *, name: str | None, step: int | None) -> Record:
    """A report. Without `name` the tracker's run is called after the model; at a `step` after the protocol,
    since checkpoints that line up have one protocol and many models."""
    frontier = None if report.frontier is None else report.frontier.name
    return Record(
        name=name or (f"reghar-{report.digest[:8]}" if step is not None else _last_part(report.model)),
        figures=dict(_figures(report)),
        tables={"measures": _measure_table(report), "curve": _curve_table(report)},
        pictures={file.stem: file for file in pictures},
        about={
            "digest": report.digest,
            "model": report.model,
            "tasks": ",".join(report.tasks),
            "frontier": frontier,
            "interval": report.interval.kind,
            "complete": str(report.complete).lower(),
        },
    )


def comparison_record(
    comparison: Comparison, digest: str, pictures: Sequence[Path], *, step: int | None
) -> Record:
    """A comparison: values and differences as figures, all cells as a table; `digest` is the baseline's."""
    figures: dict[str, float] = {}
    rows: list[tuple[LoggedValue, ...]] = []
    for cell in comparison.cells:
        found, label = cell.difference, f"{cell.task}/{cell.measure}/{cell.side}"
        if cell.value is not None:
            figures[label] = cell.value
        gap: tuple[LoggedValue, ...] = (None,) * 4
        if found is not None:
            gap = (found.value, found.low, found.high, found.p_value)
            ends = {"": found.value, "_low": found.low, "_high": found.high}
            figures |= {f"{label}_difference{end}": value for end, value in ends.items() if isfinite(value)}
        rows.append((cell.task, cell.side, cell.measure, cell.value, cell.unit, *gap))
    whose = _last_part(comparison.baseline) if step is None else digest[:8]
    return Record(
        name=f"compare-{whose}",
        figures=figures,
        tables={"comparison": Table(columns=COMPARED_COLUMNS, rows=tuple(rows))},
        pictures={file.stem: file for file in pictures},
        about={
            "digest": digest,
            "baseline": comparison.baseline,
            "sides": ",".join(comparison.sides),
            "frontier": comparison.frontier,
            "interval": comparison.bootstrap.interval,
        },
    )


def _measures(report: Report) -> Iterator[tuple[str, Measure]]:
    for task, found in report.tasks.items():
        yield from ((task, measure) for measure in found.measures)
    if len(report.tasks) > 1:
        from reghar.compare.table import AVERAGE

        yield from ((AVERAGE, measure) for measure in report.average.measures)


def _figures(report: Report) -> Iterator[tuple[str, float]]:
    for task, measure in _measures(report):
        ends = {"": measure.value, "_low": measure.low, "_high": measure.high}
        for end, value in ends.items():
            if value is not None:
                yield f"{task}/{measure.name}{end}", value


def _measure_table(report: Report) -> Table:
    rows = tuple((task, one.name, one.value, one.low, one.high, one.unit) for task, one in _measures(report))
    return Table(columns=MEASURE_COLUMNS, rows=rows)


def _curve_table(report: Report) -> Table:
    rows: list[tuple[LoggedValue, ...]] = []
    for task, found in report.tasks.items():
        curve, frontier = found.curve, found.frontier
        empty = (None,) * len(curve.budgets)
        best = empty if frontier is None else frontier.accuracy
        series = (curve.budgets, curve.accuracy, curve.low or empty, curve.high or empty, best)
        rows += [(task, *point) for point in zip(*series, strict=True)]
    return Table(columns=LOGGED_CURVE_COLUMNS, rows=tuple(rows))


def _last_part(model: str) -> str:
    """`org/model` and `runs/model/` as `model`."""
    return model.rstrip("/").rpartition("/")[2] or model
