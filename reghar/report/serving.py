"""What `reghar recommend` found, as text for the terminal (definitions: The budget to serve with)."""

from __future__ import annotations

from typing import Any

from reghar.measures.recommendation import recommended_row
from reghar.terminal import printable, table, terminal_width


def recommendation_text(result: dict[str, Any]) -> str:
    """The answer, its table, and the lines to paste."""
    rows = [*result["budgets"], {"budget": None, "verdict": "", **result["unbounded"]}]
    priced = result["unbounded"]["price_per_1000"] is not None
    header = [
        "budget",
        "accuracy",
        "lost at most",
        "tokens",
        *(["price of 1,000"] if priced else []),
        "verdict",
    ]
    cells = [
        [
            "unbounded" if row["budget"] is None else f"{row['budget']:,}",
            f"{100 * row['accuracy']:.1f}%",
            f"{max(0.0, -100 * row['low']):.1f} points" if "low" in row else "",
            f"{row['tokens']:,.0f}",
            *([f"{row['price_per_1000']:,.4f}"] if priced else []),
            row["verdict"],
        ]
        for row in rows
    ]
    lines = [_answer(result), "", table(header, cells, width=terminal_width()).rstrip("\n"), ""]
    for task, went in result["tokens_went"].items():
        if went["useful_share"] is None:  # no trace has a token
            continue
        lines.append(
            f"{printable(task)}: {100 * went['useful_share']:.0f}% of tokens useful, "
            f"{100 * went['overthinking_share']:.0f}% after the answer had settled, "
            f"{100 * went['futility_share']:.0f}% of traces never right"
        )
    return "\n".join([*lines, *_to_paste(result)]) + "\n"


def _answer(result: dict[str, Any]) -> str:
    kind, points = result["budget_counts"], f"{100 * result['margin']:g}"
    margin = f"{points} point{'' if points == '1' else 's'}"
    if result["recommended"] is None:
        text = f"No budget is shown to lose at most {margin} against unbounded thinking: serve without one."
    else:
        row = next(one for one in result["budgets"] if one["budget"] == result["recommended"])
        whole = result["unbounded"]
        text = (
            f"Serve with {row['budget']:,} {kind} tokens: {100 * row['accuracy']:.1f}% "
            f"for {row['tokens']:,.0f} tokens, against {100 * whole['accuracy']:.1f}% "
            f"for {whole['tokens']:,.0f} unbounded "
            f"(at most {margin} lost, 95%)."
        )
    open_ = result["undecided"]
    if open_ is not None:
        needed = open_["problems_needed"]
        remedy = "" if needed is None else f"; about {needed:,} problems would decide"
        text += f"\nNot decided: {open_['budget']:,}{remedy}."
    return text


def recommendations_text(found: dict[str, Any]) -> str:
    """Of several wrap-ups: which to take, a row for each, and the answer and table of the chosen one.

    Without a choice those of all of them.
    """
    runs, choice = found["runs"], found["choice"]
    if choice is None:
        head = "None of these is shown to lose as little as asked at any budget."
    else:
        head = f"Of {len(runs)}, take {printable(choice)}: no other costs fewer tokens at its budget."
    cells = []
    for label, result in runs.items():
        row = recommended_row(result)
        figures = ["none", "", ""] if row is None else _figures(row)
        cells.append([printable(label), *figures])
    header = ["", "budget", "accuracy", "tokens"]
    parts = [head, "", table(header, cells, width=terminal_width())]
    for label in runs if choice is None else (choice,):
        parts += [f"{printable(label)}:", recommendation_text(runs[label])]
    return "\n".join(parts)


def _figures(row: dict[str, Any]) -> list[str]:
    return [f"{row['budget']:,}", f"{100 * row['accuracy']:.1f}%", f"{row['tokens']:,.0f}"]


def _to_paste(result: dict[str, Any]) -> list[str]:
    """What engines are told, where the budget is one of thinking tokens; and whose price it is."""
    lines = [] if result["price"] is None else ["", f"prices: {printable(result['price']['source'])}"]
    if result["recommended"] is None:
        return lines
    if result["budget_counts"] != "thinking":
        return [
            *lines,
            "",
            "note: this run's budgets count response tokens; an engine's thinking budget is measured by",
            "`reghar probe RUN --wrap-up close`.",
        ]
    for one in result["to_paste"]:
        lines += ["", f"{one['engine']} ({one['documented']}):", f"  {one['server']}"]
        lines += [] if one["request"] is None else [f"  in the request: {one['request']}"]
    return lines
