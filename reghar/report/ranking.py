"""Several runs on one scale: which model is nearest to the frontier, or has most area under its curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reghar.errors import InputError
from reghar.frontiers.choose import frontier_identity
from reghar.report.markdown import raw_figure
from reghar.report.schema import Report
from reghar.report.templates import render
from reghar.report.text import measured
from reghar.terminal import printable


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Comparable reports, best first; incomplete ones last."""

    measure: str
    """What they are ranked by: `reg`, or `area` where REG over all tasks does not exist."""
    reports: tuple[Report, ...]

    def places(self) -> Iterator[tuple[str, Report]]:
        """Every report with its place; an incomplete one has none."""
        for place, report in enumerate(self.reports, start=1):
            yield (str(place) if report.complete else "incomplete"), report


def rank(reports: Sequence[Report]) -> Ranking:
    """The reports in order. Raises InputError where protocol or frontier make them incomparable."""
    first = reports[0]
    for other in reports[1:]:
        if other.digest != first.digest:
            settings = "; ".join(first.protocol.differences(other.protocol))
            raise InputError(
                f"{printable(first.model)} and {printable(other.model)} cannot be ranked, their protocols "
                f"differ: {settings}"
            )
        if frontier_identity(other.frontier) != frontier_identity(first.frontier):
            raise InputError(
                f"{printable(first.model)} is measured against the frontier "
                f"{frontier_identity(first.frontier)}, {printable(other.model)} against "
                f"{frontier_identity(other.frontier)}: name one for all with --frontier"
            )
    final = [report for report in reports if report.complete] or reports
    measure = "reg" if all(_value(report, "reg") is not None for report in final) else "area"
    return Ranking(measure=measure, reports=tuple(sorted(reports, key=lambda report: _key(report, measure))))


def ranking_markdown(ranking: Ranking, pictures: Sequence[str] = ("curves.png",)) -> str:
    """The page for several runs: the ranking, and the `pictures` beside it."""
    return render(
        "ranking.md.jinja",
        ranking=ranking,
        first=ranking.reports[0],
        columns=RANKING_COLUMNS,
        rows=_rows(ranking),
        pictures=list(pictures),
    )


RANKING_COLUMNS = {
    "reg": "REG (tokens)",
    "reg_up_to_1024": "REG ≤ 1,024 (tokens)",
    "area": "Area (tokens)",
    "accuracy_at_l_max": "Accuracy at L_max",
    "mean_length": "Mean length (tokens)",
}
"""Measures of the ranking table, by name, with their headings."""


def _rows(ranking: Ranking) -> Iterator[tuple[str, ...]]:
    for place, report in ranking.places():
        yield (place, report.model, *(raw_figure(measured(report.overall(name))) for name in RANKING_COLUMNS))


def _key(report: Report, measure: str) -> tuple[bool, bool, float, str]:
    value = _value(report, measure)
    signed = 0.0 if value is None else value if measure == "reg" else -value
    return (not report.complete, value is None, signed, report.model)


def _value(report: Report, measure: str) -> float | None:
    overall = report.overall(measure)
    return None if overall is None else overall.value
