"""The one sentence that a reader takes away from a report."""

from __future__ import annotations

from reghar.measures.catalogue import QUESTIONS, Measure
from reghar.report.schema import INCOMPLETE, FrontierCurveRecord, Report
from reghar.report.text import number


def verdict(report: Report) -> str:
    """REG, averaged over the tasks, with its interval and what it means; or why there is none."""
    reg = report.overall("reg")
    text = _no_reg(report) if reg is None or reg.value is None else _reg(report, reg, reg.value)
    if report.complete:
        return text
    missing = sum(task.missing for task in report.tasks.values())
    what = f"{missing:,} planned answers" if missing else "planned answers of other settings"
    notes = (note for note in report.notes if note.startswith(INCOMPLETE))
    remedy = next(notes, "finish the run with --resume").removeprefix(INCOMPLETE)
    return (
        f"INCOMPLETE: {what} are missing, so no figure here is final and none may be "
        f"quoted or compared; {remedy}. So far: {text}"
    )


def _reg(report: Report, reg: Measure, value: float) -> str:
    budgets = report.average.curve.budgets
    tasks = list(report.tasks)
    where = f"on {tasks[0]}" if len(tasks) == 1 else f"averaged over {len(tasks)} tasks"
    frontier = "the frontier" if report.frontier is None else f"the frontier {report.frontier.name}"
    points = 100 * abs(value) / (budgets[-1] - budgets[0])
    side = "below" if value >= 0 else "above"
    interval = ""
    if reg.low is not None and reg.high is not None:
        interval = f" (95% interval {number(reg.low, reg.unit)} to {number(reg.high, reg.unit)})"
    return (
        f"REG is {number(value, reg.unit)} tokens{interval} {where}, against {frontier}: at a budget drawn "
        f"evenly from {budgets[0]:,} to {budgets[-1]:,} tokens, the accuracy is on average {points:.1f} "
        f"points {side} the best known.{_doubt(report, reg)}{_unbiased(report)}"
    )


def _doubt(report: Report, reg: Measure) -> str:
    """Which question the interval answers, what the frontier's own error adds, and whether 0 is in it."""
    if reg.low is None or reg.high is None:
        return ""
    text = "" if reg.drawn is None else f" The interval is {QUESTIONS[reg.drawn]}"
    best = _overall_frontier(report)
    if reg.drawn == "problems":
        text += "; the frontier is drawn with the run, problem by problem."
    elif text and best is not None and best.reg_error is not None:
        error = number(best.reg_error, "tokens")
        text += f"; the frontier's own error, {error} tokens (standard error), is in it."
    elif text:
        text += "."
    if reg.low <= 0 <= reg.high:
        text += " The interval holds 0: a gap is not established."
    return text


def _unbiased(report: Report) -> str:
    """REG against the frontier without the upward bias of a maximum, where it is known."""
    fitted = report.overall("reg_cross_fitted")
    if fitted is None or fitted.value is None:
        return ""
    return (
        f" Against the cross-fitted frontier, free of the upward bias of a maximum, REG is "
        f"{number(fitted.value, fitted.unit)} tokens."
    )


def _overall_frontier(report: Report) -> FrontierCurveRecord | None:
    return next(iter(report.tasks.values())).frontier if len(report.tasks) == 1 else report.average.frontier


def _no_reg(report: Report) -> str:
    accuracy = report.overall("accuracy_at_l_max")
    shown = "unknown" if accuracy is None or accuracy.value is None else f"{100 * accuracy.value:.1f}%"
    having = [name for name, task in report.tasks.items() if task.frontier is not None]
    if having:
        why = f"only {', '.join(having)} can be compared with the frontier, so there is no average REG"
    elif report.frontier is None and not report.notes:
        why = "there is no REG, for want of a frontier"
    else:
        why = "there is no REG, and the notes say why"
    return f"Accuracy at the largest budget, {report.average.curve.budgets[-1]:,} tokens, is {shown}; {why}."
