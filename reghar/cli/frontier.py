"""`reghar frontier list | show NAME | validate FILE | build RUN... -o FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reghar.frontiers.frontier import Frontier
    from reghar.measures.build_frontier import RunOutcomes


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its four actions."""
    parser = subparsers.add_parser("frontier", help="list, show, validate and build frontiers")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | validate | build")
    listing = actions.add_parser("list", help="every frontier at hand in one table")
    listing.set_defaults(handler=_list)
    show = actions.add_parser("show", help="one frontier's source, protocol and points")
    show.add_argument("name", metavar="NAME", help="a frontier's name, or the path of a file")
    show.set_defaults(handler=_show)
    validate = actions.add_parser("validate", help="check a frontier file; exit code 2 if it is broken")
    validate.add_argument("file", metavar="FILE", type=Path)
    validate.set_defaults(handler=_validate)
    build = actions.add_parser("build", help="the best of finished runs at every budget")
    build.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folder of a complete run")
    build.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="JSON file to write")
    build.add_argument(
        "--base-model", metavar="NAME", help="model that all runs derive from; needed where they differ"
    )
    build.set_defaults(handler=_build)


def _list(_: argparse.Namespace) -> int:
    from reghar.frontiers.frontier import available, load_frontier
    from reghar.terminal import table

    rows = []
    for name in available():
        frontier = load_frontier(name)
        rows.append((name, _protocol(frontier), ", ".join(frontier.tasks)))
    sys.stdout.write(table(("frontier", "protocol", "tasks"), rows, names=3))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from reghar.frontiers.frontier import load_frontier
    from reghar.terminal import fields, table, terminal_width

    frontier = load_frontier(arguments.name)
    sys.stdout.write(
        fields(
            [
                ("base model", frontier.base_model),
                ("protocol", _protocol(frontier)),
                ("citation", frontier.source.citation),
                ("address", frontier.source.address),
                ("date", frontier.source.date),
                ("sha256", frontier.sha256),
                *(
                    (task, f"{one.problems} problems, avg@{one.samples}")
                    for task, one in frontier.tasks.items()
                ),
            ]
        )
    )
    sys.stdout.write(f"\n{table(('budget', *frontier.tasks), _points(frontier), width=terminal_width())}")
    return 0


def _points(frontier: Frontier) -> list[tuple[str, ...]]:
    """One row per budget, one column per task; with the winner where it is known."""
    rows: list[tuple[str, ...]] = []
    by_task = [dict(zip(one.budgets, one.accuracy, strict=True)) for one in frontier.tasks.values()]
    winners = [dict(zip(one.budgets, one.winner or (), strict=False)) for one in frontier.tasks.values()]
    for budget in sorted(set().union(*by_task)):
        cells = [
            "" if budget not in points else f"{points[budget]:.4f} {names.get(budget, '')}".strip()
            for points, names in zip(by_task, winners, strict=True)
        ]
        rows.append((str(budget), *cells))
    return rows


def _validate(arguments: argparse.Namespace) -> int:
    from reghar.frontiers.frontier import read_frontier
    from reghar.terminal import printable

    frontier = read_frontier(arguments.file)
    points = sum(len(one.budgets) for one in frontier.tasks.values())
    sys.stdout.write(
        printable(
            f"{arguments.file}: valid, {frontier.base_model}, {len(frontier.tasks)} tasks, {points} points"
        )
        + "\n"
    )
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from reghar import __version__
    from reghar.frontiers.frontier import FrontierSource, write_frontier
    from reghar.measures.build_frontier import build
    from reghar.terminal import printable, table, terminal_width

    runs = _load(arguments.runs)
    source = FrontierSource(
        citation=f"reghar {__version__} frontier build, definition 4.1 of arXiv 2506.07104, from the runs "
        + ", ".join(f"{run.name} ({run.model})" for run in runs),
        address="own runs",
        date=datetime.now(UTC).date().isoformat(),
    )
    frontier = build(runs, base_model=arguments.base_model or _base_model(runs), source=source)
    write_frontier(frontier, arguments.out)
    header = ("task", "problems", "samples", "top", "cross-fitted top", "points by run")
    rows = []
    for task, one in frontier.tasks.items():
        winners = one.winner or ()
        counts = ", ".join(f"{name} {winners.count(name)}" for name in dict.fromkeys(winners))
        fitted = f"{max(one.cross_fitted):.4f}" if one.cross_fitted else "-"
        rows.append((task, str(one.problems), str(one.samples), f"{max(one.accuracy):.4f}", fitted, counts))
    sys.stdout.write(
        f"{table(header, rows, width=terminal_width())}"
        "The maximum of noisy curves is biased upward; the cross-fitted estimate beside it is not.\n"
        f"{printable(str(arguments.out))}\n"
    )
    return 0


def _load(paths: Sequence[Path]) -> list[RunOutcomes]:
    from reghar.measures.build_frontier import RunOutcomes
    from reghar.store import load_run

    runs = []
    for path in paths:
        stored = load_run(path)
        stored.require_complete()
        runs.append(
            RunOutcomes(
                name=path.resolve().name,
                model=stored.model,
                digest=stored.digest,
                protocol=stored.protocol,
                outcomes={task: stored.outcomes(task) for task in stored.tasks},
            )
        )
    return runs


def _base_model(runs: Sequence[RunOutcomes]) -> str:
    models = sorted({run.model for run in runs})
    if len(models) > 1:
        raise InputError(f"the runs are of {', '.join(models)}: name their base model with --base-model")
    return Path(models[0]).name


def _protocol(frontier: Frontier) -> str:
    return frontier.protocol if isinstance(frontier.protocol, str) else frontier.protocol.digest
