"""`reghar power`: what a run's noise is made of, and how many problems and samples would detect x."""

from __future__ import annotations

import argparse
import math
import sys
from typing import TYPE_CHECKING

from reghar.errors import InputError

if TYPE_CHECKING:
    from reghar.measures.planning import Components, Design

DESCRIPTION = """The spread between problems and between samples of one problem, estimated from a run, and
from them the standard error of any number of problems and samples, and the cheapest that detects a
difference (two-sided 5%, 80% power). With --baseline the noise is that of the paired difference of the two
runs: what makes a problem hard for both cancels. Without it, that of the run's own figure."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "power", help="how many problems and samples to buy", description=DESCRIPTION
    )
    parser.add_argument("run", metavar="RUN", help="folder of a complete run")
    parser.add_argument("--baseline", metavar="RUN", help="plan a comparison with runs like this one")
    parser.add_argument("--task", help="plan for this task; needed where the run has several")
    parser.add_argument(
        "--measure",
        default="accuracy_full",
        metavar="NAME",
        help="accuracy_full (default), accuracy_at_l_max, mean_length or area (a difference of REG is one of "
        "area)",
    )
    parser.add_argument(
        "--detect", type=float, metavar="X", help="difference to find: percentage points, or tokens"
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Prints the split, a table of designs, and the cheapest one; returns 0."""
    from reghar.compare.sides import load_sides, require_comparable
    from reghar.measures.clusters import Clusters, shared_clusters
    from reghar.measures.planning import LINEAR, components, contributions

    if arguments.detect is not None and not (math.isfinite(arguments.detect) and arguments.detect > 0):
        raise InputError(f"--detect {arguments.detect:g}: give a difference above 0")
    if arguments.baseline is None:
        sides = load_sides([arguments.run])
    else:
        sides = load_sides([f"run={arguments.run}", f"baseline={arguments.baseline}"])
    require_comparable(sides, sides[0])
    task = _task(sides[0].runs[0].tasks, arguments.task)
    outcomes = shared_clusters([side.outcomes(task) for side in sides])
    values = [contributions(one, arguments.measure) for one in outcomes]
    found = components(*values, clusters=Clusters.of(outcomes[0]))
    percent = 100.0 if LINEAR[arguments.measure] == "fraction" else 1.0
    _print(found, len(values[0]), percent, task, arguments)
    return 0


def _task(tasks: tuple[str, ...], wanted: str | None) -> str:
    if wanted is None and len(tasks) == 1:
        return tasks[0]
    if wanted not in tasks:
        named = "no --task is named" if wanted is None else f"--task {wanted} is none of the run's"
        raise InputError(f"{named}: choose among {', '.join(tasks)}")
    return wanted


def _print(
    found: Components, problems: int, percent: float, task: str, arguments: argparse.Namespace
) -> None:
    from reghar.measures.planning import cheapest, designs

    unit = "points" if percent > 1 else "tokens"
    what = "paired difference" if arguments.baseline else "figure"
    write = sys.stdout.write
    write(
        f"{task}, {arguments.measure}, {what}: standard deviation {percent * math.sqrt(found.between):,.1f} "
        f"{unit} between problems, {percent * math.sqrt(found.within):,.1f} {unit} between samples\n"
        f"{_clusters(found)}\n"
    )
    write(f"{'problems':>9}{'samples':>9}{'error':>10}{'detectable':>12}{'of samples':>12}\n")
    for design in designs(found, problems):
        write(_row(design, found, percent))
    if arguments.detect is None:
        return
    best = cheapest(found, arguments.detect / percent)
    write("\n")
    if best is None:
        write(f"More than a million problems would be needed to detect {arguments.detect:g} {unit}.\n")
    else:
        write(
            f"Cheapest to detect {arguments.detect:g} {unit}: {best.problems:,} problems with {best.samples} "
            f"{'sample' if best.samples == 1 else 'samples'} each, {best.problems * best.samples:,} traces "
            f"per run (detects {percent * best.detectable:,.2f}).\n"
        )


def _clusters(found: Components) -> str:
    """What the spread between problems holds beside theirs, where they are drawn together."""
    if found.per_cluster == 1:
        return ""
    return (
        f"problems are drawn together in clusters of {found.per_cluster:,.1f} on average: what a cluster "
        "shares is in the spread between problems, and designs keep that size\n"
    )


def _row(design: Design, found: Components, percent: float) -> str:
    variance = found.between + found.within / design.samples
    share = found.within / design.samples / variance if variance > 0 else 0.0
    return (
        f"{design.problems:>9,}{design.samples:>9}{percent * design.standard_error:>10,.2f}"
        f"{percent * design.detectable:>12,.2f}{100 * share:>11.0f}%\n"
    )
