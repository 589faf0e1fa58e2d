"""`report.md`: the report as a person reads it, the verdict first.

Whatever comes from outside (names of models, tasks and files, text of the protocol) is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reghar.frontiers.choose import FrontierRecord
from reghar.report.schema import MeasureRecord, MethodRecord, Report, SettingRecord, TaskReport
from reghar.report.text import escaped, measured, model_name, number, table
from reghar.report.verdict import verdict

CAPTIONS = {
    "curves": "Accuracy by budget",
    "curves-log2": "Accuracy by budget, log2 axis",
    "outcomes": "Outcomes by budget",
    "lengths": "Response lengths",
    "problems": "Accuracy of every problem by budget",
    "control": "Accuracy by thinking tokens used",
    "requested": "Thinking tokens asked for and used",
    "effort": "Accuracy by reasoning effort",
    "scatter": "Accuracy by mean response length",
}
"""What each picture shows, by the name of its file."""


def pictured(pictures: Iterable[str]) -> Iterator[str]:
    """The pictures beside a page, a paragraph each."""
    for name in pictures:
        yield f"![{CAPTIONS[name.removesuffix('.png')]}]({name})"
        yield ""


def markdown(report: Report, pictures: Sequence[str] = ("curves.png",)) -> str:
    """The whole page; it shows the `pictures` beside it, the first one at its head."""
    sections = (
        _head(report),
        _summary(report),
        _notes(report),
        _reach(report),
        _measures(report),
        _efficiency(report),
        control_section(report),
        _outcomes(report),
        _cost(report),
        _protocol(report),
        _pictures(pictures[1:]),
    )
    return "\n\n".join(text for section in sections if (text := "\n".join(section).rstrip())) + "\n"


def summary_rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Task, accuracy at L_max, accuracy_full, mean length, REG and its <= 1,024 part; the average last."""
    for name, task in report.tasks.items():
        yield (name, *(measured(task.measure(column)) for column in SUMMARY))
    if len(report.tasks) > 1:
        yield ("average", *(measured(report.average.measure(column)) for column in SUMMARY))


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


def _head(report: Report) -> Iterator[str]:
    yield f"# {escaped(model_name(report.model))}"
    yield ""
    yield escaped(verdict(report))


def _summary(report: Report) -> Iterator[str]:
    rows = ((escaped(name), *cells) for name, *cells in summary_rows(report))
    yield "## Tasks"
    yield ""
    yield from table(("Task", *SUMMARY.values()), rows)
    yield ""
    drawn = "whole problems" if report.interval.kind == "problems" else "samples within fixed problems"
    yield (
        f"In brackets: 95% bootstrap intervals ({drawn} drawn {report.interval.replicates:,} times, "
        f"seed {report.interval.seed})."
    )
    yield ""
    yield "![Accuracy by budget](curves.png)"
    yield ""
    shaded = (
        "; the frontier (dashed); hatched, the gap that REG integrates. On every panel the area is REG in "
        "tokens, accuracy taken as a fraction"
        if report.frontier
        else ""
    )
    yield f"*Accuracy of the forced answer by budget, with its pointwise interval{shaded}.*"


def _notes(report: Report) -> Iterator[str]:
    lines = [_about(report.frontier)] if report.frontier else []
    lines += [escaped(note) for note in report.notes]
    for name, task in report.tasks.items():
        lines += [f"{escaped(name)}: {escaped(note)}" for note in task.notes]
    if lines:
        yield "## Notes"
        yield ""
        yield from (f"- {line}" for line in lines)


def _about(frontier: FrontierRecord) -> str:
    how = "picked by the model's name" if frontier.chosen == "auto" else "as asked for"
    line = f"Frontier: {escaped(frontier.name)} ({how}), from {escaped(frontier.source)}."
    if frontier.unknown:
        line += f" Its protocol is {escaped(frontier.protocol)}, and not known to be equal to this run's: "
        line += "; ".join(escaped(setting) for setting in frontier.unknown) + "."
    return line


def _reach(report: Report) -> Iterator[str]:
    rows = [
        (escaped(name), *(_pair(task, percent) for percent in REACH))
        for name, task in report.tasks.items()
        if task.frontier is not None
    ]
    if not rows:
        return
    yield "## Tokens to reach a share of the frontier's top accuracy"
    yield ""
    yield from table(("Task", *(f"{percent}%" for percent in REACH)), rows)
    yield ""
    yield (
        "The model's budget / the frontier's, both at the first crossing; a dash where never reached. Where "
        "both curves rise throughout, REG is the mean of this difference over all accuracies from 0 to 1."
    )


def _pair(task: TaskReport, percent: str) -> str:
    model, frontier = (task.measure(f"{whose}tokens_to_{percent}") for whose in ("", "frontier_"))
    return f"{measured(model)} / {measured(frontier)}"


def _measures(report: Report) -> Iterator[str]:
    yield "## Every measure"
    columns = [(escaped(name), task.measures) for name, task in report.tasks.items()]
    if len(columns) > 1:
        columns.append(("average", report.average.measures))
    names: dict[str, MeasureRecord] = {}
    for _, measures in columns:
        names = {**{m.name: m for m in measures}, **names}
    yield ""
    yield from table(
        ("Measure", "Unit", "Better", *(name for name, _ in columns)),
        (
            (
                escaped(name),
                "%" if one.unit == "fraction" else escaped(one.unit),
                {True: "higher", False: "lower", None: "–"}[one.higher_is_better],
                *(measured(next((m for m in measures if m.name == name), None)) for _, measures in columns),
            )
            for name, one in names.items()
        ),
    )


def _efficiency(report: Report) -> Iterator[str]:
    """Per-trace efficiency: one row per figure, one column per task."""
    tasks = {name: task.efficiency for name, task in report.tasks.items() if task.efficiency is not None}
    if not tasks:
        return
    yield "## Efficiency of single traces"
    yield ""
    yield from table(
        ("Mean over traces", *(escaped(name) for name in tasks)),
        (
            (label, *(number(getattr(one, field), unit) for one in tasks.values()))
            for field, label, unit in EFFICIENCY
        ),
    )
    yield ""


def _outcomes(report: Report) -> Iterator[str]:
    for name, task in report.tasks.items():
        shown = [outcome for outcome, counts in task.outcomes.items() if any(counts)]
        yield f"## {escaped(name)}: outcomes by budget"
        yield ""
        columns = ["Accuracy", "Interval", "Frontier", *(escaped(outcome) for outcome in shown)]
        yield from table(
            ("Budget", *columns), (_outcome_row(task, i, shown) for i in range(len(task.curve.budgets)))
        )
        failures = task.grader_failures
        if failures.count:
            yield ""
            yield (
                f"{failures.count:,} answers could not be graded and count as wrong. Were all of them right, "
                f"accuracy at {task.curve.budgets[-1]:,} tokens would be "
                f"{number(failures.accuracy_if_right[-1], 'fraction')} instead of "
                f"{number(task.curve.accuracy[-1], 'fraction')}."
            )
        yield ""


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


def _cost(report: Report) -> Iterator[str]:
    if not report.cost:
        return
    yield "## Cost"
    yield ""
    yield from table(
        ("Counter", "Value"),
        ((escaped(name.replace("_", " ")), _counter(name, value)) for name, value in report.cost.items()),
    )


def _counter(name: str, value: float | int | None) -> str:
    if name.endswith("share"):
        return number(value, "fraction")
    return f"{value:,}" if isinstance(value, int) else number(value, "")


def _pictures(pictures: Sequence[str]) -> Iterator[str]:
    if pictures:
        yield "## Pictures"
        yield ""
        yield from pictured(pictures)


def _protocol(report: Report) -> Iterator[str]:
    yield "## Protocol"
    yield ""
    yield f"Digest `{escaped(report.digest)}`: only runs with this digest may be compared with this one."
    yield ""
    yield from table(
        ("Setting", "Value"),
        ((escaped(name), escaped(value)) for name, value in _settings(report.protocol)),
    )


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


def control_section(report: Report) -> Iterator[str]:
    """Every method's measures by task, then every setting."""
    for name, task in report.tasks.items():
        if not task.control:
            continue
        yield f"## {escaped(name)}: test-time control"
        yield ""
        yield from table(
            (
                "Method",
                "Settings",
                "Control",
                "Scaling (points per doubling)",
                "per 1,000 tokens",
                "Performance",
            ),
            (_method_row(method) for method in task.control),
        )
        yield ""
        yield from _control_settings(task)
        yield ""


def _method_row(method: MethodRecord) -> tuple[str, ...]:
    left_out = f" ({method.pairs_left_out} pairs left out)" if method.pairs_left_out else ""
    control, scaling, per_1000, performance = (
        measured(method.measure(name)) for name in ("control", "scaling", "scaling_per_1000", "performance")
    )
    return (
        escaped(method.method),
        f"{len(method.settings)}",
        control,
        scaling + left_out,
        per_1000,
        performance,
    )


def _control_settings(task: TaskReport) -> Iterator[str]:
    yield from table(
        (
            "Method: setting",
            "Asked for (tokens)",
            "Thinking used",
            "5 / 50 / 95%",
            "Samples within",
            "Answer tokens",
            "Accuracy",
            "Cut at max_tokens",
        ),
        (
            _setting_row(method, setting, "" if setting is not method.reference else " (reference)")
            for method in task.control
            for setting in (*method.settings, *([method.reference] if method.reference else []))
        ),
    )


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
        escaped(f"{method.method}: {one.name}{remark}"),
        asked,
        number(one.tokens, "tokens"),
        quantiles,
        number(one.within, "fraction"),
        number(one.answer_tokens, "tokens"),
        number(one.accuracy, "fraction") + interval,
        number(one.unfinished, "fraction"),
    )
