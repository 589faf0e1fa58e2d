"""Reports as files. Each appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.measures.trace_table import trace_table
from reghar.protocol import BudgetCounts
from reghar.report.figures import answers, curves, picture, trade_off
from reghar.report.figures.axes import Scale
from reghar.report.figures.control import write_control_figures
from reghar.report.figures.policies import write_parts_figure, write_policy_figures
from reghar.report.markdown import report_markdown
from reghar.report.policies import policies_markdown
from reghar.report.ranking import Ranking, ranking_markdown
from reghar.report.schema import Average, CurveRecord, FrontierCurveRecord, Report, TaskReport
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes
from reghar.store.parts import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[..., None]
"""A figure of one task's outcomes: `draw(axes, outcomes=...)`."""

RANKING_SCHEMA = "reghar.ranking/1"
"""Schema of the `report.json` of several runs."""


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """Where a report's files lie."""

    page: Path
    """`report.md`, which shows every picture."""
    pictures: tuple[Path, ...]
    """PNG files; each has an SVG beside it."""


def write_report(report: Report, run: StoredRun, folder: Path, *, figures: bool = False) -> WrittenReport:
    """Writes `report.json`, `report.md`, `traces.parquet` (see `reghar.measures.trace_table`) and pictures.

    Always the curves, and those of test-time control where the run has a method of it; with `figures`
    also those that a closer look needs.
    """
    _write_text(folder / "report.json", report.to_json())
    write_aside(folder / "traces.parquet", lambda file: trace_table(run).to_parquet(file, index=False))
    pictures = write_curves(report, folder)
    if figures or run.settings:
        pictures += write_control_figures(report, run, folder)
    if figures:
        pictures += write_figures(report, run, folder)
    shown = tuple(file for file in pictures if file.suffix == ".png")
    page = folder / "report.md"
    _write_text(page, report_markdown(report, tuple(file.name for file in shown)))
    return WrittenReport(page=page, pictures=shown)


def write_curves(report: Report, folder: Path) -> list[Path]:
    """The curve of every task against its frontier, as PNG and SVG. Returns the files, the PNG first."""
    return picture.save(_curve_panels(report, "linear"), folder / "curves")


def write_figures(report: Report, run: StoredRun, folder: Path) -> list[Path]:
    """The figures that a closer look needs, as PNG and SVG: curves over log2 budgets, outcomes by
    budget, response lengths, accuracy of every problem at every budget, where the tokens went. Returns the
    files."""
    outcomes = {task: run.outcomes(task) for task in report.tasks}
    by_task: dict[str, list[picture.Panel]] = {
        "curves-log2": _curve_panels(report, "log2"),
        "outcomes": [
            (name, partial(answers.outcomes_by_budget, task=task, counts=_counts(report)))
            for name, task in report.tasks.items()
        ],
        "lengths": _panels(answers.response_lengths, outcomes),
        "problems": _panels(answers.problem_heat_map, outcomes),
    }
    files = [file for stem, panels in by_task.items() for file in picture.save(panels, folder / stem)]
    went = {name: one.allocation for name, one in report.tasks.items() if one.allocation is not None}
    return files + write_parts_figure({name: one.model_dump() for name, one in went.items()}, folder)


def write_policies(result: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `policies.md` and its pictures (see `reghar.measures.policies_of_run`); the files."""
    pictures = write_policy_figures(result, folder)
    page = folder / "policies.md"
    shown = [file.name for file in pictures if file.suffix == ".png"]
    _write_text(page, policies_markdown(result, shown))
    return [page, *pictures]


def write_ranking(ranking: Ranking, folder: Path, *, figures: bool = False) -> WrittenReport:
    """Writes `report.json` (all reports, best first), `report.md`, the overlaid curves and the scatter of
    accuracy over length; with `figures` also the curves over log2 budgets."""
    content = {
        "schema": RANKING_SCHEMA,
        "ranked_by": ranking.measure,
        "reports": [json.loads(report.to_json()) for report in ranking.reports],
    }
    _write_text(folder / "report.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    pictures = picture.save(_overlay_panels(ranking, "linear"), folder / "curves")
    pictures += picture.save([("", _trade_off(ranking))], folder / "scatter")
    if figures:
        pictures += picture.save(_overlay_panels(ranking, "log2"), folder / "curves-log2")
    shown = tuple(file for file in pictures if file.suffix == ".png")
    page = folder / "report.md"
    _write_text(page, ranking_markdown(ranking, tuple(file.name for file in shown)))
    return WrittenReport(page=page, pictures=shown)


def _panels(draw: Draw, outcomes: dict[str, TaskOutcomes]) -> list[picture.Panel]:
    return [(name, partial(draw, outcomes=one)) for name, one in outcomes.items()]


def _curve_panels(report: Report, scale: Scale) -> list[picture.Panel]:
    """One panel per task, and of several tasks their average."""
    shown: dict[str, TaskReport | Average] = dict(report.tasks)
    if len(report.tasks) > 1:
        shown["average"] = report.average
    return [
        (
            name,
            partial(
                curves.curve,
                curve=one.curve,
                frontier=one.frontier,
                label=picture.model_label(report.model),
                scale=scale,
                counts=_counts(report),
            ),
        )
        for name, one in shown.items()
    ]


def _trade_off(ranking: Ranking) -> Callable[[Axes], None]:
    """Every model's length and accuracy, its REG in the legend."""

    def value(report: Report, name: str) -> float | None:
        found = report.overall(name)
        return None if found is None else found.value

    models = [
        (picture.model_label(report.model, report.overall("reg")), length, accuracy)
        for report in ranking.reports
        if (length := value(report, "mean_length")) is not None
        and (accuracy := value(report, "accuracy_full")) is not None
    ]
    return partial(trade_off.trade_off, models=models)


def _overlay_panels(ranking: Ranking, scale: Scale) -> list[picture.Panel]:
    """One panel per task; the legend gives every model's REG over all tasks."""
    labels = [
        picture.model_label(report.model, report.overall("reg"))
        if report.complete
        else f"{picture.model_label(report.model)} (incomplete)"
        for report in ranking.reports
    ]

    def panel(name: str) -> Callable[[Axes], None]:
        tasks = [report.tasks[name] for report in ranking.reports]
        labelled: list[tuple[str, CurveRecord]] = [
            (label, task.curve) for label, task in zip(labels, tasks, strict=True)
        ]
        frontier: FrontierCurveRecord | None = tasks[0].frontier
        counts = _counts(ranking.reports[0])
        return partial(curves.overlay, curves=labelled, frontier=frontier, scale=scale, counts=counts)

    return [(name, panel(name)) for name in ranking.reports[0].tasks]


def _counts(report: Report) -> BudgetCounts:
    return report.protocol.budget_counts


def _write_text(path: Path, text: str) -> None:
    write_aside(path, lambda file: file.write(text.encode("utf-8")))
