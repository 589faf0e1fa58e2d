"""`reghar reg --curve FILE --frontier NAME`: the gap of a curve that any harness measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "reg",
        help="REG of a curve in a CSV file, from any harness",
        description="The reasoning efficiency gap of an accuracy curve that any harness measured, against a "
        "frontier: from a CSV file with one row per task and budget.",
    )
    parser.add_argument(
        "--curve",
        metavar="FILE",
        type=Path,
        required=True,
        help="CSV file with the columns task,budget,accuracy; accuracy as a fraction",
    )
    parser.add_argument("--frontier", metavar="NAME", required=True, help="name or path of a frontier")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(handler=_reg)


def _reg(arguments: argparse.Namespace) -> int:
    from reghar.frontiers.frontier import load_frontier
    from reghar.measures.bare_curves import reg_of_curves
    from reghar.measures.csv_input import read_curves

    result = reg_of_curves(read_curves(arguments.curve), load_frontier(arguments.frontier))
    if arguments.json:
        import json

        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    else:
        _print_table(result)
    return 0


def _print_table(result: dict[str, Any]) -> None:
    from reghar.terminal import table, terminal_width

    figures = ("reg", "reg_up_to_1024", "reg_positive", "reg_negative", "area")
    titles = ("REG", "up to 1,024", "positive", "negative", "area")
    rows = [
        (name, *("–" if one[figure] is None else f"{one[figure]:.1f}" for figure in figures))
        for name, one in {**result["tasks"], "average": result["average"]}.items()
    ]
    sys.stdout.write(table(("task", *titles), rows, width=terminal_width()))
    sys.stdout.write(f"In tokens, against the frontier {result['frontier']}; lower REG is better.\n")
    for note in result["notes"]:
        sys.stdout.write(f"Note: {note}\n")
