"""`reghar recommend`: which thinking budget to serve a model with, from a stored run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from reghar.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "recommend",
        help="the smallest budget that is not worse than unbounded thinking",
        description="Which budget to serve with, from the stored answers of a complete run, without an "
        "engine: the smallest that is not worse than unbounded thinking by more than the margin, its "
        "accuracy, tokens and price, what is not decided, and where the tokens went.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument(
        "--margin", type=float, default=0.01, help="accuracy that may be lost, as a fraction (default: 0.01)"
    )
    parser.add_argument("--price-input", type=float, metavar="P", help="price of a million prompt tokens")
    parser.add_argument("--price-output", type=float, metavar="P", help="price of a million response tokens")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Computes and prints."""
    if arguments.seed < 0:
        raise InputError(f"--seed {arguments.seed}: give a number from 0 on")
    if (arguments.price_input is None) != (arguments.price_output is None):
        raise InputError("a price needs both --price-input and --price-output")
    from reghar.measures.recommendation import TokenPrice, recommendation
    from reghar.store import load_run

    price = None
    if arguments.price_input is not None:
        price = TokenPrice(input=arguments.price_input, output=arguments.price_output)
    result = recommendation(
        load_run(arguments.run), margin=arguments.margin, price=price, seed=arguments.seed
    )
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write(_shown(result))
    return 0


def _shown(result: dict[str, Any]) -> str:
    from reghar.terminal import printable, table, terminal_width

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


def _to_paste(result: dict[str, Any]) -> list[str]:
    """The request's field of vLLM, where the budget is one of thinking tokens."""
    if result["recommended"] is None:
        return []
    if result["budget_counts"] != "thinking":
        return [
            "",
            "note: this run's budgets count response tokens; an engine's thinking budget is measured by",
            "`reghar run ... --budget-counts thinking`.",
        ]
    return ["", f'vLLM, in the request: {{"thinking_token_budget": {result["recommended"]}}}']
