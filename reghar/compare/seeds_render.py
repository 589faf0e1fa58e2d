"""Intervals over training seeds in the forms of `render`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reghar.compare.cell_text import HEADINGS, figure_text, p_text, signed
from reghar.compare.seeds import SeedCell
from reghar.compare.table import Comparison
from reghar.terminal import printable
from reghar.terminal import table as columns

HEADER = ("Task", "Side", "Seeds", "Measure", "Mean", "95% interval", "Difference", "95% interval", "p")
CSV_HEADER = (
    *("seeds", "low_over_seeds", "high_over_seeds"),
    *("difference_low_over_seeds", "difference_high_over_seeds", "p_value_over_seeds"),
)
"""Columns of a CSV where a side has enough training seeds."""


def seeds_terminal(comparison: Comparison, width: int | None) -> str:
    """The table with its heading; nothing where no side has enough seeds."""
    if not comparison.seeds:
        return ""
    table = columns(HEADER, seed_rows(comparison), names=4, width=width)
    return f"Over training seeds, and differences from {printable(comparison.baseline)}\n\n{table}\n"


def csv_columns(
    seeds: Mapping[tuple[str, str, str], SeedCell], key: tuple[str, str, str] | None
) -> tuple[object, ...]:
    """The columns of `CSV_HEADER`; none where no side has enough training seeds."""
    if not seeds:
        return ()
    found = None if key is None else seeds.get(key)
    if found is None:
        return (None,) * len(CSV_HEADER)
    difference = found.difference
    ends = (None, None) if difference is None else difference.interval()
    p_value = None if difference is None else difference.p_value()
    return found.seeds, *(found.interval or (None, None)), *ends, p_value


def seed_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Every mean over training seeds with its interval, and its difference from the baseline."""
    for cell in comparison.seeds:
        found = cell.difference
        yield (
            *(cell.task, cell.side, str(cell.seeds), HEADINGS[cell.measure]),
            figure_text(cell.mean, cell.unit),
            "–" if cell.interval is None else " to ".join(figure_text(x, cell.unit) for x in cell.interval),
            "–" if found is None else signed(found.value, cell.unit),
            "–" if found is None else " to ".join(signed(end, cell.unit) for end in found.interval()),
            "–" if found is None else p_text(found.p_value()),
        )


def seeds_legend(comparison: Comparison) -> Iterator[str]:
    """What the figures mean."""
    if not comparison.seeds:
        return
    grouped = any(cell.side == comparison.baseline for cell in comparison.seeds)
    other = (
        "Differences of two methods are Welch's t over the seeds of both."
        if grouped
        else f"Against {comparison.baseline}, which is no sample of trainings, a difference holds the error "
        "of its answers, not what training it again would change."
    )
    yield (
        "Over training seeds: about further models trained the same way, on these problems; Student's t over "
        f"the runs of a side. {other}"
    )
