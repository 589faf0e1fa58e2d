"""`report.md`: the report as a person reads it, the verdict first.

Whatever comes from outside (names of models, tasks and files, text of the protocol) is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from reghar.measures.catalogue import QUESTIONS, Measure
from reghar.report.policies import PARTS_REMARK, parts
from reghar.report.schema import (
    AllocationRecord,
    EfficiencyRecord,
    MethodRecord,
    Report,
    SettingRecord,
    TaskReport,
)
from reghar.report.templates import render
from reghar.report.text import measured, number


def report_markdown(report: Report, pictures: Sequence[str] = ("curves.png",)) -> str:
    """The whole page; it shows the `pictures` beside it, the first one at its head."""
    several = len(report.tasks) > 1
    columns = [task.measures for task in report.tasks.values()] + [report.average.measures] * several
    efficient = {name: task.efficiency for name, task in report.tasks.items() if task.efficiency is not None}
    went = {name: task.allocation for name, task in report.tasks.items() if task.allocation is not None}
    return render(
        "report.md.jinja",
        report=report,
        pictures=list(pictures),
        summary=SUMMARY,
        summary_rows=summary_rows(report),
        question=QUESTIONS[report.interval.kind],
        other_question=_other_question(report),
        notes=[*report.notes, *_task_notes(report)],
        reach=list(_reach(report)),
        measured_in=[*report.tasks, *["average"] * several],
        measures=_measures(columns),
        efficient=list(efficient),
        efficiency=_efficiency(list(efficient.values())),
        went=list(went),
        went_rows=_went(list(went.values())),
        went_remark=PARTS_REMARK,
        control=[
            (name, [_method_row(method) for method in task.control], _setting_rows(task))
            for name, task in report.tasks.items()
            if task.control
        ],
        outcomes=[(name, *_outcomes(task)) for name, task in report.tasks.items()],
        cost=((name.replace("_", " "), _counter(name, value)) for name, value in report.cost.items()),
        protocol=_settings(report.protocol.as_dict()),
    )


def raw_figure(text: str) -> Markup:
    """Digits and brackets of ours, which need no escaping."""
    return Markup(text)  # noqa: S704 - never text from outside


def summary_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Task, accuracy at L_max, accuracy_full, mean length, REG and its <= 1,024 part; the average last."""
    for name, task in report.tasks.items():
        yield (name, *(raw_figure(measured(task.measure(column))) for column in SUMMARY))
    if len(report.tasks) > 1:
        yield ("average", *(raw_figure(measured(report.average.measure(column))) for column in SUMMARY))


SUMMARY = {
    "accuracy_at_l_max": "Accuracy at L_max",
    "accuracy_full": "Accuracy, whole trace",
    "mean_length": "Mean length (tokens)",
    "reg": "REG (tokens)",
    "reg_up_to_1024": "REG ≤ 1,024 (tokens)",
}
"""Measures of the summary table, by name, with their headings."""

EFFICIENCY = (
    ("first_correct", "first correct budget (tokens)", ""),
    ("settled", "settled budget (tokens)", ""),
    ("wasted_tokens", "wasted tokens", ""),
    ("outcome_efficiency", "outcome efficiency", "fraction"),
    ("flips", "flips correct, wrong, correct", ""),
    ("overthought", "overthought", "fraction"),
    ("never_correct", "never correct", "fraction"),
)
"""Fields of `EfficiencyRecord`, with their labels and units."""

REACH = ("25", "50", "75", "90")
"""Percent of the frontier's top accuracy (definitions: REG)."""


def _other_question(report: Report) -> bool:
    """Whether REG answers another question than the rest: its frontier has no problems to draw."""
    drawn = {one.drawn for task in report.tasks.values() if (one := task.measure("reg")) is not None}
    return report.interval.kind == "problems" and "samples" in drawn


def _task_notes(report: Report) -> Iterator[str]:
    for name, task in report.tasks.items():
        yield from (f"{name}: {note}" for note in task.notes)


def _reach(report: Report) -> Iterator[tuple[str, ...]]:
    for name, task in report.tasks.items():
        if task.frontier is not None:
            yield (name, *(_pair(task, percent) for percent in REACH))


def _pair(task: TaskReport, percent: str) -> Markup:
    model, frontier = (task.measure(f"{whose}tokens_to_{percent}") for whose in ("", "frontier_"))
    return raw_figure(f"{measured(model)} / {measured(frontier)}")


def _measures(columns: Sequence[Sequence[Measure]]) -> Iterator[tuple[str, ...]]:
    """One row per measure, one column per task and the average."""
    first = {one.name: one for measures in reversed(columns) for one in measures}
    names = dict.fromkeys(one.name for measures in columns for one in measures)
    for name in names:
        found = [next((one for one in measures if one.name == name), None) for measures in columns]
        yield (
            name,
            "%" if first[name].unit == "fraction" else first[name].unit,
            {True: "higher", False: "lower", None: "–"}[first[name].higher_is_better],
            *(raw_figure(measured(one)) for one in found),
        )


def _efficiency(tasks: Sequence[EfficiencyRecord]) -> Iterator[tuple[str, ...]]:
    """Per-trace efficiency (definitions: Efficiency of single traces): one row per figure."""
    for field, label, unit in EFFICIENCY:
        yield (label, *(raw_figure(_efficient(one, field, unit)) for one in tasks))


def _went(tasks: Sequence[AllocationRecord]) -> Iterator[tuple[str, ...]]:
    """Where the tokens went (definitions: Allocation of thinking): a row per part, `13% [2, 33] of all, 25 a
    trace`."""
    by_task = [parts(one.model_dump()) for one in tasks]
    for cells in zip(*by_task, strict=True):
        yield (cells[0][0], *(raw_figure(f"{share}; {tokens}") for _, share, tokens in cells))


def _efficient(one: EfficiencyRecord, field: str, unit: str) -> str:
    """`101 [95, 107] of 400`: value, interval, and how many traces have it."""
    value, ends = getattr(one, field), one.intervals.get(field)
    text = number(value, unit)
    if ends is not None:
        low, high = (number(end, unit).removesuffix("%") for end in ends)
        text += f" [{low}, {high}]"
    return text if value is None or field not in one.traces else f"{text} of {one.traces[field]:,}"


def _outcomes(task: TaskReport) -> tuple[list[str], list[tuple[str, ...]], dict[str, Any] | None]:
    """The outcomes that occur, a row per budget, and what could not be graded."""
    shown = [outcome for outcome, counts in task.outcomes.items() if any(counts)]
    rows = [_outcome_row(task, i, shown) for i in range(len(task.curve.budgets))]
    failures = task.grader_failures
    if not failures.count:
        return shown, rows, None
    return (
        shown,
        rows,
        {
            "count": failures.count,
            "budget": f"{task.curve.budgets[-1]:,}",
            "if_right": number(failures.accuracy_if_right[-1], "fraction"),
            "accuracy": number(task.curve.accuracy[-1], "fraction"),
        },
    )


def _outcome_row(task: TaskReport, i: int, shown: list[str]) -> tuple[str, ...]:
    curve = task.curve
    interval = "–"
    if curve.low is not None and curve.high is not None:
        interval = f"{number(curve.low[i], 'fraction')} to {number(curve.high[i], 'fraction')}"
    return (
        f"{curve.budgets[i]:,}",
        number(curve.accuracy[i], "fraction"),
        interval,
        number(task.frontier.accuracy[i] if task.frontier else None, "fraction"),
        *(f"{task.outcomes[outcome][i]:,}" for outcome in shown),
    )


def _counter(name: str, value: float | int | None) -> str:
    if name.endswith("share"):
        return number(value, "fraction")
    return f"{value:,}" if isinstance(value, int) else number(value, "")


def _settings(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every setting by its dotted name; a long list (problem ids) is counted instead of printed."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _settings(value, f"{name}.")
        elif isinstance(value, list) and len(value) > 64:
            yield name, f"{len(value)} entries"
        else:
            yield name, json.dumps(value, ensure_ascii=False)


def _method_row(method: MethodRecord) -> tuple[str, ...]:
    left_out = f" ({method.pairs_left_out} pairs left out)" if method.pairs_left_out else ""
    control, scaling, per_1000, performance = (
        measured(method.measure(name)) for name in ("control", "scaling", "scaling_per_1000", "performance")
    )
    return (
        method.method,
        f"{len(method.settings)}",
        raw_figure(control),
        raw_figure(scaling + left_out),
        raw_figure(per_1000),
        raw_figure(performance),
    )


def _setting_rows(task: TaskReport) -> list[tuple[str, ...]]:
    return [
        _setting_row(method, setting, "" if setting is not method.reference else " (reference)")
        for method in task.control
        for setting in (*method.settings, *([method.reference] if method.reference else []))
    ]


def _setting_row(method: MethodRecord, one: SettingRecord, remark: str) -> tuple[str, ...]:
    interval = ""
    if one.low is not None and one.high is not None:
        low, high = (number(end, "fraction").removesuffix("%") for end in (one.low, one.high))
        interval = f" [{low}, {high}]"
    asked = "–"
    if one.minimum is not None or one.maximum is not None:
        least = f"{one.minimum:,}" if one.minimum is not None else ""
        most = f"≤ {one.maximum:,}" if one.maximum is not None else ""
        asked = f"{least} {most}".strip() if not least else f"≥ {least} {most}".strip()
    quantiles = " / ".join(f"{one.tokens_quantiles[i]:,.0f}" for i in (0, 2, 4))
    return (
        f"{method.method}: {one.name}{remark}",
        asked,
        number(one.tokens, "tokens"),
        quantiles,
        number(one.within, "fraction"),
        number(one.answer_tokens, "tokens"),
        raw_figure(number(one.accuracy, "fraction") + interval),
        number(one.unfinished, "fraction"),
    )
