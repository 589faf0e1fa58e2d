"""The section of `report.md` on test-time control."""

from __future__ import annotations

from collections.abc import Iterator

from reghar.report.schema import MethodRecord, Report, SettingRecord, TaskReport
from reghar.report.text import escaped, measured, number, table


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
            (_method(method) for method in task.control),
        )
        yield ""
        yield from _settings(task)
        yield ""


def _method(method: MethodRecord) -> tuple[str, ...]:
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


def _settings(task: TaskReport) -> Iterator[str]:
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
            _setting(method, setting, "" if setting is not method.reference else " (reference)")
            for method in task.control
            for setting in (*method.settings, *([method.reference] if method.reference else []))
        ),
    )


def _setting(method: MethodRecord, one: SettingRecord, remark: str) -> tuple[str, ...]:
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
