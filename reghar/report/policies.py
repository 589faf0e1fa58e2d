"""What `reghar policies` found, as tables for terminal and page.

(definitions: Stopping policies; Allocation of thinking)
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reghar.report.templates import render
from reghar.report.text import model_name, number
from reghar.terminal import printable, table, terminal_width

BOUND = "settled: an upper bound that needs the gold"
"""How the policy is called that nobody can serve with."""


_WIDTH = 100
"""Characters of a line of running text."""


@dataclass(frozen=True, kw_only=True)
class PolicyTable:
    """One table of a task, with the line above it and what has to be known about it."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    remark: str = ""


def policies_text(result: dict[str, Any]) -> str:
    """What stands in the terminal."""
    lines = []
    for task, one in result["tasks"].items():
        lines += [f"{printable(task)}: {policies_headline(one)}", ""]
        for each in tables(one, result["margin"]):
            shown = table(each.header, each.rows, width=terminal_width()).rstrip("\n")
            lines += [each.title, "", shown, *textwrap.wrap(each.remark, _WIDTH), ""]
        lines += [line for note in one["notes"] for line in textwrap.wrap(f"note: {printable(note)}", _WIDTH)]
        lines += [""] if one["notes"] else []
    return "\n".join(lines)


def policies_markdown(result: dict[str, Any], pictures: Sequence[str]) -> str:
    """The same as a page with its pictures."""
    tasks = [
        (name, policies_headline(one), list(tables(one, result["margin"])), one["notes"])
        for name, one in result["tasks"].items()
    ]
    return render(
        "policies.md.jinja", model=model_name(result["model"]), tasks=tasks, pictures=list(pictures)
    )


def policies_headline(task: dict[str, Any]) -> str:
    """The answer in one sentence."""
    whole = task["unbounded"]
    text = f"{_percent(whole['accuracy'])} for {number(whole['tokens'], 'tokens')} tokens unbounded"
    every = next((one for one in task["savings"] if one["family"] == "any"), None)
    if every is None:
        return f"{text}."
    if every["tokens_saved"] <= 0:
        return f"{text}; no policy is shown to save tokens without losing accuracy."
    return (
        f"{text}; stopping by {_chosen(every)} saves {number(every['tokens_saved'], 'tokens')} tokens a "
        f"response ({_percent(every['share_saved'])}) at {_points(every['difference'])} points."
    )


def tables(task: dict[str, Any], margin: float) -> Iterator[PolicyTable]:
    """Savings, parts, and what every budget costs, in this order."""
    if task["savings"]:
        yield _savings(task, margin)
    yield _parts(task)
    yield _budgets(task)


def _savings(task: dict[str, Any], margin: float) -> PolicyTable:
    rows = [
        (
            one["family"],
            _chosen(one),
            _interval(one, "tokens_saved", "tokens_low", "tokens_high", "tokens"),
            _percent(one["share_saved"]),
            f"{_points(one['difference'])} [{_points(one['difference_low'])}, "
            f"{_points(one['difference_high'])}]",
        )
        for one in task["savings"]
    ]
    bound, whole = task["settled"], task["unbounded"]
    saved = whole["tokens"] - bound["tokens"]
    rows.append(
        (
            "settled",
            "(upper bound)",
            number(saved, "tokens"),
            _percent(saved / whole["tokens"] if whole["tokens"] else None),
            _points(bound["accuracy"] - whole["accuracy"]),
        )
    )
    return PolicyTable(
        title=f"The most that stopping early saves where at most {100 * margin:g} "
        f"point{'' if margin == 0.01 else 's'} of accuracy may be lost",
        header=("family", "chosen on either half", "tokens saved", "of all", "accuracy (points)"),
        rows=rows,
        remark="Each family's cheapest policy that is not worse than unbounded thinking is chosen on one "
        "half of the problems and read on the other. settled knows the gold: nobody can serve with it.",
    )


def _parts(task: dict[str, Any]) -> PolicyTable:
    rows = parts(task["allocation"])
    return PolicyTable(
        title="Where its tokens went",
        header=("part", "tokens a trace", "of all tokens"),
        rows=[(label, tokens, share) for label, share, tokens in rows],
        remark=PARTS_REMARK,
    )


PARTS_REMARK = "Tokens a trace: over traces right at the end, and over those never right."


def parts(went: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(part, share of all tokens, tokens a trace), from `reghar.measures.allocation.allocation_json`."""
    return [
        ("useful", _percent(went["useful_share"]), "–"),
        (
            "after its answer had settled (overthinking tax)",
            _of(went["overthinking_share"], "fraction"),
            _of(went["overthinking_tax"], "tokens"),
        ),
        (
            "of traces that no budget makes right (futility)",
            _of(went["futility_share"], "fraction"),
            _of(went["futility_waste"], "tokens"),
        ),
    ]


def _budgets(task: dict[str, Any]) -> PolicyTable:
    went, oracle = task["allocation"], task["oracle"]
    rows = [
        (
            f"{budget:,}",
            _percent(point["accuracy"]),
            number(point["tokens"], "tokens"),
            _of(went["starvation"][i], "fraction"),
            _of(went["harm"][i], "fraction"),
            *(() if oracle is None else (_percent(oracle[i]["accuracy"]), _regret(oracle[i]))),
        )
        for i, (budget, point) in enumerate(zip(went["budgets"], task["families"]["fixed"], strict=True))
    ]
    return PolicyTable(
        title="One budget for all",
        header=("budget", "accuracy", "tokens", "starvation", "harm")
        + (() if oracle is None else ("oracle", "regret (tokens)")),
        rows=rows,
        remark="starvation: wrong there, right at the end; harm: the other way round."
        + (
            ""
            if oracle is None
            else " oracle: accuracy for as many tokens, each problem with a budget of its own; regret: "
            "tokens that it saves at equal accuracy."
        ),
    )


def _regret(row: dict[str, Any]) -> str:
    return _interval(row, "regret", "regret_low", "regret_high", "tokens")


def _chosen(saving: dict[str, Any]) -> str:
    return " / ".join(dict.fromkeys(saving["chosen"]))


def _of(figure: dict[str, float | None], unit: str) -> str:
    return _interval(figure, "value", "low", "high", unit)


def _interval(row: dict[str, Any], value: str, low: str, high: str, unit: str) -> str:
    text = number(row[value], unit)
    if row[low] is None or row[high] is None:
        return text
    return f"{text} [{number(row[low], unit).removesuffix('%')}, {number(row[high], unit).removesuffix('%')}]"


def _percent(share: float | None) -> str:
    return number(share, "fraction").replace("-", "−")


def _points(difference: float | None) -> str:
    if difference is None:
        return "–"
    text = f"{100 * difference:+.1f}"
    return text.replace("-", "−") if float(text) else "0.0"
