"""`reghar budgets`: which few budgets to train or measure with, and each problem's own minimal budget."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.errors import InputError

if TYPE_CHECKING:
    from reghar.frontiers.frontier import Frontier

FrontierPoints = tuple[list[int], list[float]]
"""Budgets in tokens and the accuracies at them, of a frontier."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `budgets`."""
    parser = subparsers.add_parser(
        "budgets",
        help="choose a few budgets for a trainer, or find each problem's minimal budget",
        description="Prints N budgets besides 0 and the largest, the coefficient c_i of each in the "
        "trapezoid sum of the area, and the approximation error on a frontier (REG section 5.2). With "
        "--per-question: each problem's minimal budget over stored runs (REG eq. 12, on forced answers).",
    )
    parser.add_argument(
        "--strategy",
        choices=["oracle", "exp", "linear"],
        default="exp",
        help="oracle: least error on the frontier; exp: by equal ratios (default); linear: by equal steps",
    )
    parser.add_argument("--n", type=int, default=5, help="budgets besides 0 and --l-max (default: 5)")
    parser.add_argument("--frontier", metavar="NAME", help="judge the choice on this frontier")
    parser.add_argument("--task", help="on this task of the frontier; default: the mean of its tasks")
    parser.add_argument("--l-min", type=int, default=1024, help="tokens (default: 1024)")
    parser.add_argument("--l-max", type=int, default=16384, help="tokens (default: 16384)")
    parser.add_argument(
        "--figure", type=Path, metavar="STEM", help="draw the errors of all strategies: STEM.png, STEM.svg"
    )
    parser.add_argument("--per-question", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.set_defaults(handler=budgets)


def budgets(arguments: argparse.Namespace) -> int:
    """Prints, returns 0. Raises InputError for a choice that cannot be made."""
    if arguments.per_question:
        return _per_question(arguments.per_question)
    if arguments.n < 1:
        raise InputError(f"--n must be at least 1, not {arguments.n}")
    if not 0 < arguments.l_min < arguments.l_max:
        raise InputError(f"--l-min {arguments.l_min} must lie between 0 and --l-max {arguments.l_max}")
    points = _points(arguments)
    chosen = _chosen(arguments, points)
    _print_choice(chosen, points)
    if arguments.figure is not None:
        if points is None:
            raise InputError("--figure draws errors on a frontier: name one with --frontier")
        _draw(points, arguments.l_min, arguments.figure)
    return 0


def _points(arguments: argparse.Namespace) -> FrontierPoints | None:
    from reghar.frontiers.frontier import load_frontier
    from reghar.measures.selection import up_to

    if arguments.frontier is None:
        return None
    frontier = load_frontier(arguments.frontier)
    return up_to(*_curve(frontier, arguments.task), arguments.l_max)


def _curve(frontier: Frontier, task: str | None) -> tuple[Sequence[int], Sequence[float]]:
    import numpy as np

    if task is not None:
        one = frontier.task(task)
        return one.budgets, one.accuracy
    tasks = list(frontier.tasks.values())
    if any(other.budgets != tasks[0].budgets for other in tasks):
        raise InputError(f"the tasks of {frontier.name} have other budgets each: choose one with --task")
    return tasks[0].budgets, np.mean([one.accuracy for one in tasks], axis=0).tolist()


def _chosen(arguments: argparse.Namespace, points: FrontierPoints | None) -> tuple[int, ...]:
    from reghar.budgets import exponential, linear
    from reghar.measures.selection import oracle

    if arguments.strategy == "oracle":
        if points is None:
            raise InputError("the oracle chooses on a frontier: name one with --frontier")
        return oracle(arguments.n, *points, arguments.l_min)
    spaced = exponential if arguments.strategy == "exp" else linear
    chosen = spaced(arguments.n, arguments.l_min, arguments.l_max)
    if len(set(chosen)) < len(chosen):
        raise InputError(f"rounded to whole tokens, some of {arguments.n} budgets repeat; ask for fewer")
    return chosen


def coefficients(chosen: Sequence[int]) -> list[float]:
    """c_i of the trapezoid sum: area = sum of c_i x accuracy at `chosen[i]`, tokens; they add up to L_max."""
    inner = [(after - before) / 2 for before, after in zip(chosen, chosen[2:], strict=False)]
    return [(chosen[1] - chosen[0]) / 2, *inner, (chosen[-1] - chosen[-2]) / 2]


def _print_choice(chosen: Sequence[int], points: FrontierPoints | None) -> None:
    from reghar.measures.selection import approximation_error

    sys.stdout.write("budget  c_i\n")
    for budget, weight in zip(chosen, coefficients(chosen), strict=True):
        sys.stdout.write(f"{budget:6d}  {weight:g}\n")
    sys.stdout.write(f"--budgets {','.join(map(str, chosen))}\n")
    if points is not None:
        sys.stdout.write(f"approximation error {100 * approximation_error(chosen, *points):.3f}%\n")


def _draw(points: FrontierPoints, l_min: int, stem: Path) -> None:
    from functools import partial

    from reghar.measures.selection import selection_errors
    from reghar.report.figures import picture, trade_off

    inner = sum(budget >= l_min for budget in points[0][1:-1])
    errors = selection_errors(*points, up_to_n=max(1, min(10, inner)), l_min=l_min)
    for file in picture.save([("", partial(trade_off.draw_selection_errors, errors=errors))], stem):
        sys.stdout.write(f"{file}\n")


def _per_question(folders: Sequence[Path]) -> int:
    import numpy as np

    from reghar.measures.curves import curve_of
    from reghar.measures.efficiency import minimal_budgets
    from reghar.store import load_run
    from reghar.terminal import printable

    runs = [load_run(folder) for folder in folders]
    if any(run.digest != runs[0].digest for run in runs):
        raise InputError("the runs have unequal protocols: minimal budgets are taken over comparable runs")
    sys.stdout.write("task\tproblem\tminimal_budget\n")
    for task in runs[0].tasks:
        outcomes = [run.outcomes(task) for run in runs]
        for one in outcomes:
            curve_of(one)  # refuses an incomplete run
        means = np.stack([one.correct.mean(axis=1) for one in outcomes])
        found = minimal_budgets(means, outcomes[0].budgets)
        for problem, budget in zip(outcomes[0].problems, found, strict=True):
            sys.stdout.write(f"{task}\t{printable(problem)}\t{'' if np.isnan(budget) else int(budget)}\n")
    return 0
