"""`reghar scaling`: s1's measures of a table, or what more tokens buy, from stored traces."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reghar.cli.options import names
from reghar.errors import InputError

PARALLEL_METHODS = {
    "majority": "majority vote of k samples",
    "weighted": "vote of k samples weighted by score",
    "best": "the best of k samples by score",
    "pass": "pass@k: one of k samples is right",
}
"""Ways to make one answer of k samples, as the result names them, and their titles."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "scaling",
        help="Control, Scaling and Performance of a table; votes, best-of-N, pass@k of a run",
        description="Test-time scaling without an engine: s1's measures of anyone's table of settings "
        "(--csv), or from the stored traces of a complete run rejection sampling, majority and weighted "
        "votes, best-of-N and pass@k.",
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="table with the columns setting,min_tokens,max_tokens,tokens,accuracy: tokens used on average, "
        "accuracy in percent; an empty bound is none",
    )
    parser.add_argument(
        "--rejection",
        metavar="L,...",
        help="sample until a trace has at most L tokens: accuracy, coverage, expected tries",
    )
    parser.add_argument("--majority", metavar="K,...", help="majority vote over K samples at every budget")
    parser.add_argument(
        "--pass", dest="passes", metavar="K,...", help="the chance that one of K samples is right (pass@K)"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="a verifier's scores, JSON lines with task, problem, sample, budget or null, and score (0 to 1, "
        "or a list, one per step): weighted votes and best of K samples, K as --majority or powers of two",
    )
    parser.add_argument(
        "--steps",
        choices=("min", "mean", "prod", "last"),
        default="min",
        help="what a list of scores counts as (default: min)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the subsets of samples and of the intervals (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--figures", action="store_true", help="also draw accuracy over tokens spent per problem into RUN"
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    if (arguments.csv is None) == (arguments.run is None):
        raise InputError("give either --csv FILE or a RUN with --rejection or --majority")
    if arguments.csv is not None:
        return _table(arguments)
    asked = (arguments.rejection, arguments.majority, arguments.passes, arguments.scores)
    if all(one is None for one in asked):
        raise InputError(
            "say what to do with the run: --rejection 512,1024,..., --majority 1,2,4,..., --pass 1,2,4,... "
            "or --scores FILE"
        )
    limits = _integers(arguments.rejection, "--rejection", 0)
    votes = _integers(arguments.majority, "--majority", 1)
    passes = _integers(arguments.passes, "--pass", 1)
    if arguments.seed < 0:
        raise InputError(f"--seed {arguments.seed}: give a number from 0 on")
    from reghar.measures.sample_scores import read_scores
    from reghar.measures.scaling_of_run import Spending, stored_scaling
    from reghar.store import load_run

    run = load_run(arguments.run)
    scores = None if arguments.scores is None else read_scores(arguments.scores, run, arguments.steps)
    spending = Spending(limits=limits, votes=votes, passes=passes, scores=scores)
    result = stored_scaling(run, spending, seed=arguments.seed)
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    else:
        _print_run(result)
    if arguments.figures:
        from reghar.report.figures.scaling import write_scaling_figures

        for file in write_scaling_figures(result, run.path):
            sys.stderr.write(f"{file}\n")
    return 0


def _integers(text: str | None, flag: str, least: int) -> list[int] | None:
    if text is None:
        return None
    numbers = []
    for entry in names(text):
        if not entry.isascii() or not entry.isdigit() or int(entry) < least:
            raise InputError(f"{flag}: {entry!r} is not a whole number of at least {least}")
        numbers.append(int(entry))
    if not numbers:
        raise InputError(f"{flag} is empty: give whole numbers separated by commas")
    return sorted(set(numbers))


def _table(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from reghar.measures.csv_input import read_settings
    from reghar.measures.s1 import measure_settings

    of_run = (arguments.rejection, arguments.majority, arguments.passes, arguments.scores)
    if any(of_run) or arguments.figures:
        raise InputError(
            "--rejection, --majority, --pass, --scores and --figures need a RUN: a table holds no traces"
        )
    measures = measure_settings(read_settings(arguments.csv))
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(measures), indent=1, allow_nan=False) + "\n")
        return 0
    lines = {
        "Control": f"{_shown(measures.control, '%')}  ({measures.obeyed} of {measures.bounded} settings "
        "with bounds within them)",
        "Scaling": f"{_shown(measures.scaling)} points per doubling of thinking tokens",
        "": f"{_shown(measures.scaling_per_1000)} points per 1,000 thinking tokens",
        "Performance": f"{_shown(measures.performance, '%')}  (a maximum over settings: biased upward)",
        "Pairs": f"{measures.pairs}, of which {measures.pairs_left_out} left out for want of a slope",
    }
    for name, value in lines.items():
        sys.stdout.write(f"{name:<12} {value}\n")
    return 0


def _shown(value: float | None, unit: str = "") -> str:
    return "none" if value is None else f"{value:.2f}{unit}"


def _print_run(result: dict[str, Any]) -> None:
    from reghar.terminal import printable

    for task, one in result["tasks"].items():
        if "rejection" in one:
            _print_rejection(task, one["rejection"])
        for name, title in PARALLEL_METHODS.items():
            if name in one:
                _print_samples(f"{task}: {title}", one[name])
        for note in one["notes"]:
            sys.stdout.write(f"note: {printable(note)}\n")


def _print_rejection(task: str, rows: list[dict[str, Any]]) -> None:
    cells = []
    for row in rows:
        tries = "∞" if row["expected_tries"] is None else f"{row['expected_tries']:.2f}"
        pooled = "∞" if row["expected_tries_pooled"] is None else f"{row['expected_tries_pooled']:.2f}"
        over_all = f"{100 * row['accuracy_over_all']:.1f}%"
        cells.append(
            (f"{row['limit']:,}", _percent(row), over_all, f"{100 * row['coverage']:.1f}%", tries, pooled)
        )
    _print(
        f"{task}: rejection sampling",
        ("tokens at most", "accuracy", "over all", "coverage", "tries", "tries, pooled"),
        cells,
    )


def _print_samples(title: str, rows: list[dict[str, Any]]) -> None:
    votes = sorted({row["samples"] for row in rows})
    cells = [
        (f"{budget:,}", *(f"{100 * row['accuracy']:.1f}%" for row in rows if row["budget"] == budget))
        for budget in sorted({row["budget"] for row in rows})
    ]
    _print(title, ("budget", *(f"k = {k}" for k in votes)), cells)


def _print(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    from reghar.terminal import printable, table, terminal_width

    sys.stdout.write(f"{printable(title)}\n{table(header, rows, width=terminal_width())}\n")


def _percent(row: dict[str, Any]) -> str:
    if row["accuracy"] is None:
        return "–"
    text = f"{100 * row['accuracy']:.1f}%"
    if row["low"] is not None:
        text += f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
    return text
