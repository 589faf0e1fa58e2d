"""`reghar compare`: several runs against a baseline, paired problem by problem. No engine is needed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.tracking import add_tracking, track_comparison, tracker_from
from reghar.errors import InputError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reghar.compare.sides import Side
    from reghar.compare.table import Comparison

DESCRIPTION = """Accuracy, length and REG of every side, task by task and on average, and every
difference from the baseline with its paired bootstrap interval, p-value and the difference that
could have been detected. A side is a run, or several runs of one method (training seeds) joined by
a plus sign: their mean. NAME= says what tables call it. From three runs of a side on there are intervals
over training seeds as well."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "compare", help="compare runs with a baseline, with significance", description=DESCRIPTION
    )
    parser.add_argument("sides", nargs="+", metavar="[NAME=]RUN[+RUN]", help="folders of complete runs")
    parser.add_argument(
        "--baseline",
        metavar="RUN",
        help="what the others are compared with: one of the sides, by name or folder, or one more "
        "(default: the first)",
    )
    add_statistics(parser)
    parser.add_argument(
        "--balanced",
        type=float,
        metavar="ACCURACY",
        help="also the length of correct responses on the problems that every side solves with more than "
        "this accuracy, such as 0.5",
    )
    parser.add_argument(
        "--published",
        metavar="BASE_MODEL",
        help="put the methods of REG tables 1 and 3 on this base model under the runs, such as Qwen3-4B",
    )
    parser.add_argument(
        "--format",
        choices=("terminal", "md", "csv", "latex"),
        default="terminal",
        help="form of the table (default: terminal)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of printing")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="also draw accuracy over length, published methods among them: FILE.png and FILE.svg; and every "
        "curve minus the baseline's with its bands: FILE-difference.png and .svg",
    )
    add_tracking(parser)
    parser.set_defaults(handler=handle)


def add_statistics(parser: argparse.ArgumentParser) -> None:
    """Options that `compare` and `check` share."""
    parser.add_argument(
        "--frontier",
        metavar="NAME",
        help="auto (by the model's name), none, a name or a file; default: what the baseline was run with",
    )
    parser.add_argument(
        "--interval",
        choices=("problems", "samples"),
        help="draw whole problems (default), or samples within these fixed problems",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="SETTING",
        help="a setting of the protocol that is allowed to differ, such as probe.temperature or sampling; "
        "may be repeated",
    )


def handle(arguments: argparse.Namespace) -> int:
    """Compares, then prints or writes; returns 0."""
    from reghar.compare.measured import Bootstrap
    from reghar.compare.table import compare

    tracker = tracker_from(arguments)
    sides, baseline = choose_baseline(arguments.sides, arguments.baseline)
    comparison = compare(
        sides,
        baseline=baseline,
        frontier=arguments.frontier,
        bootstrap=Bootstrap(interval=arguments.interval or "problems"),
        allowed=arguments.allow,
        balanced=arguments.balanced,
        published=arguments.published,
    )
    text = _text(comparison, arguments.format, arguments.out)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.out, text)
    if arguments.figure is not None:
        from reghar.compare.figure import save_differences, save_scatter

        stem = arguments.figure.with_suffix("")
        save_scatter(comparison, stem)
        save_differences(comparison, stem.with_name(f"{stem.name}-difference"))
    if tracker is not None:
        track_comparison(tracker, comparison, baseline.runs[0].digest)
    return 0


def _text(comparison: Comparison, form: str, out: Path | None) -> str:
    from reghar.compare import render
    from reghar.terminal import terminal_width

    if form == "terminal":
        return render.comparison_terminal(comparison, terminal_width() if out is None else None)
    return {"md": render.comparison_markdown, "csv": render.to_csv, "latex": render.latex}[form](comparison)


def write_text(path: Path, text: str) -> None:
    """Writes a result where the user wants it. Raises InputError where that is not possible."""
    from reghar.store.parts import write_aside

    try:
        write_aside(path, lambda file: file.write(text.encode()))
    except StorageError as error:
        reason = str(error).partition(";")[0]
        raise InputError(f"{reason}; choose another file") from error


def choose_baseline(arguments: Sequence[str], baseline: str | None) -> tuple[list[Side], Side]:
    """All sides and the one that is the baseline. Raises InputError for runs that are none."""
    from reghar.compare.sides import load_sides

    sides = load_sides(arguments)
    if baseline is None:
        return sides, sides[0]
    for argument, side in zip(arguments, sides, strict=True):
        folders = {str(run.path.resolve()) for run in side.runs}
        if baseline in (side.label, argument) or folders == {str(Path(baseline).resolve())}:
            return sides, side
    sides = load_sides([baseline, *arguments])
    return sides, sides[0]
