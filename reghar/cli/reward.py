"""`reghar reward`: what a reward would prefer among the traces of a stored run."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import names

if TYPE_CHECKING:
    from reghar.rewards.of_run import TaskRewards
    from reghar.store import StoredRun

_SETTINGS = ("alpha", "gamma", "limit", "coefficients", "equation")
_SHOWN = 10
"""Problems named in a line."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "reward",
        help="what a reward would prefer among the traces of a run",
        description="Rewards and advantages of a stored run's traces, the samples of each problem as one "
        "group, without an engine. Rewards: plp (--alpha), length_group_norm (--alpha), length_harmonizing "
        "(--gamma, --reference), token_budget (--limit), reo_rl (--budgets), q_spec.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument("--reward", required=True, metavar="NAME", help="name of the reward")
    parser.add_argument("--alpha", type=float, help="weight of the length, of plp and length_group_norm")
    parser.add_argument(
        "--gamma", type=float, help="exponent of plp (default: 0.5); weight of accuracy in length_harmonizing"
    )
    parser.add_argument("--limit", type=float, metavar="TOKENS", help="limit of token_budget")
    parser.add_argument(
        "--budgets", metavar="L,...", help="budgets of reo_rl, of the run's own (default: all above 0)"
    )
    parser.add_argument("--coefficients", help="of reo_rl: trapezoid (default) or one")
    parser.add_argument("--equation", type=int, help="of q_spec's first coefficient: 9 (default) or 13")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="RUN",
        help="run of the reference model (length_harmonizing), or the run that gives the minimal budgets "
        "(q_spec; default: RUN itself)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with one row per trace")
    parser.add_argument("--figures", action="store_true", help="also draw reward over length into RUN")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Computes and prints."""
    from reghar.rewards.of_run import rewards_of_run
    from reghar.store import load_run

    given = vars(arguments)
    run = load_run(arguments.run)
    tasks = rewards_of_run(
        run,
        arguments.reward,
        {name: given[name] for name in _SETTINGS if given[name] is not None},
        budgets=None if arguments.budgets is None else _budgets(arguments.budgets),
        reference=None if arguments.reference is None else load_run(arguments.reference),
    )
    if arguments.json:
        result = {
            "model": run.model,
            "digest": run.digest,
            "reward": arguments.reward,
            "tasks": {one.task: one.as_dict() for one in tasks},
        }
        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    else:
        _print(tasks)
    if arguments.figures:
        _draw(run, tasks, arguments.reward)
    return 0


def _budgets(text: str) -> list[int]:
    from reghar.budgets import parse_budgets

    return list(parse_budgets(",".join(names(text))))


def _print(tasks: list[TaskRewards]) -> None:
    from rich.console import Console

    from reghar.terminal import printable

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for one in tasks:
        correlation, groups = one.length_correlation
        wrong = one.prefers_wrong
        named = ", ".join(wrong[:_SHOWN]) + (", ..." if len(wrong) > _SHOWN else "")
        lines = {
            "mean reward, right": _shown(one.mean_right),
            "mean reward, wrong": _shown(one.mean_wrong),
            "reward and tokens among right": f"{_shown(correlation)} (Spearman, mean of {groups} problems)",
            "groups without variance": f"{100 * one.zero_variance:.1f}% of {len(one.problems)}",
            "prefers a wrong response": f"{len(wrong)} problems" + (f": {named}" if wrong else ""),
        }
        console.print(f"{printable(one.task)}: {one.right.sum():,} of {one.right.size:,} responses right")
        for label, value in lines.items():
            console.print(f"  {label:<31}{printable(value)}")
        for note in one.notes:
            console.print(f"note: {note}")


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:,.4f}"


def _draw(run: StoredRun, tasks: list[TaskRewards], name: str) -> None:
    from reghar.report.figures.picture import save
    from reghar.report.figures.rewards import reward_over_length

    panels = [
        (
            one.task,
            partial(reward_over_length, length=one.length, reward=one.reward, right=one.right, name=name),
        )
        for one in tasks
    ]
    for file in save(panels, run.path / f"reward-{name}"):
        sys.stderr.write(f"{file}\n")
