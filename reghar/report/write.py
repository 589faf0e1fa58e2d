"""Reports as files. Each appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.measures.trace_table import trace_table
from reghar.protocol import BudgetCounts
from reghar.report.figures import curves
from reghar.report.figures.axes import Scale
from reghar.report.markdown import markdown
from reghar.report.ranking import Ranking, ranking_markdown
from reghar.report.schema import CurveRecord, FrontierCurveRecord, Report
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes
from reghar.store.parts import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[..., None]
"""A figure of one task's outcomes: `draw(axes, outcomes=...)`."""

RANKING_SCHEMA = "reghar.ranking/1"
"""Schema of the `report.json` of several runs."""


def write_report(report: Report, run: StoredRun, folder: Path) -> Path:
    """Writes `report.json`, `report.md`, `traces.parquet` (see `reghar.trace_table`), `curves.png` and
    `curves.svg`; returns the path of `report.md`."""
    _write_text(folder / "report.json", report.to_json())
    curves.save(_curve_panels(report, "linear"), folder / "curves")
    write_aside(folder / "traces.parquet", lambda file: trace_table(run).to_parquet(file, index=False))
    page = folder / "report.md"
    _write_text(page, markdown(report))
    return page


def write_figures(report: Report, run: StoredRun, folder: Path) -> list[Path]:
    """The figures that a closer look needs, as PNG and SVG: curves over log2 budgets, outcomes by
    budget, response lengths, accuracy of every problem at every budget. Returns the files."""
    outcomes = {task: run.outcomes(task) for task in report.tasks}
    by_task: dict[str, list[curves.Panel]] = {
        "curves-log2": _curve_panels(report, "log2"),
        "outcomes": [
            (name, partial(curves.outcomes_by_budget, task=task, counts=_counts(report)))
            for name, task in report.tasks.items()
        ],
        "lengths": _panels(curves.response_lengths, outcomes),
        "problems": _panels(curves.problem_heat_map, outcomes),
    }
    return [file for stem, panels in by_task.items() for file in curves.save(panels, folder / stem)]


def write_ranking(ranking: Ranking, folder: Path) -> Path:
    """Writes `report.json` (all reports, best first), `report.md` and the overlaid curves."""
    content = {
        "schema": RANKING_SCHEMA,
        "ranked_by": ranking.measure,
        "reports": [json.loads(report.to_json()) for report in ranking.reports],
    }
    _write_text(folder / "report.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    curves.save(_overlay_panels(ranking), folder / "curves")
    curves.save([("", _trade_off(ranking))], folder / "scatter")
    page = folder / "report.md"
    _write_text(page, ranking_markdown(ranking))
    return page


def _panels(draw: Draw, outcomes: dict[str, TaskOutcomes]) -> list[curves.Panel]:
    return [(name, partial(draw, outcomes=one)) for name, one in outcomes.items()]


def _curve_panels(report: Report, scale: Scale) -> list[curves.Panel]:
    return [
        (
            name,
            partial(
                curves.curve,
                curve=task.curve,
                frontier=task.frontier,
                label=curves.model_label(report.model),
                scale=scale,
                counts=_counts(report),
            ),
        )
        for name, task in report.tasks.items()
    ]


def _trade_off(ranking: Ranking) -> Callable[[Axes], None]:
    """Every model's length and accuracy; REG reductions against the largest REG of them."""

    def value(report: Report, name: str) -> float | None:
        found = report.overall(name)
        return None if found is None else found.value

    gaps = [gap for report in ranking.reports if (gap := value(report, "reg")) is not None]
    models = [
        (curves.model_label(report.model), length, accuracy, value(report, "reg"))
        for report in ranking.reports
        if (length := value(report, "mean_length")) is not None
        and (accuracy := value(report, "accuracy_full")) is not None
    ]
    return partial(curves.trade_off, models=models, baseline=max(gaps, default=None))


def _overlay_panels(ranking: Ranking) -> list[curves.Panel]:
    """A panel a task; the legend gives every model's REG over all tasks."""
    labels = [
        curves.model_label(report.model, report.overall("reg"))
        if report.complete
        else f"{curves.model_label(report.model)} (incomplete)"
        for report in ranking.reports
    ]

    def panel(name: str) -> Callable[[Axes], None]:
        tasks = [report.tasks[name] for report in ranking.reports]
        labelled: list[tuple[str, CurveRecord]] = [
            (label, task.curve) for label, task in zip(labels, tasks, strict=True)
        ]
        frontier: FrontierCurveRecord | None = tasks[0].frontier
        return partial(curves.overlay, curves=labelled, frontier=frontier, counts=_counts(ranking.reports[0]))

    return [(name, panel(name)) for name in ranking.reports[0].tasks]


def _counts(report: Report) -> BudgetCounts:
    counts: BudgetCounts = report.protocol.get("budget_counts", "response")
    return counts


def _write_text(path: Path, text: str) -> None:
    write_aside(path, lambda file: file.write(text.encode("utf-8")))
