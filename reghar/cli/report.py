"""`reghar report`: the report of one run again, or several runs ranked. No engine is needed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import add_runs, named_run
from reghar.cli.tracking import add_tracking, track_reports, tracker_from
from reghar.errors import InputError
from reghar.terminal import printable

if TYPE_CHECKING:
    from reghar.measures.catalogue import IntervalKind
    from reghar.report.schema import Report
    from reghar.report.write import WrittenReport
    from reghar.store import StoredRun


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `report`."""
    parser = subparsers.add_parser(
        "report",
        help="write the report of stored runs again, or rank several",
        description="Writes report.json, report.md, curves.png and curves.svg from stored scores: one run's "
        "into its own folder, several runs' ranking into --out.",
    )
    add_runs(parser)
    parser.add_argument(
        "--frontier",
        metavar="NAME",
        help="auto (by the model's name), none, a name or a file; default: what the run was started with",
    )
    parser.add_argument(
        "--interval",
        choices=["problems", "samples"],
        help="draw whole problems, or samples within these fixed problems; default: as the run was started",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write here; needed for several runs")
    parser.add_argument(
        "--figures",
        action="store_true",
        help="also log2 curves, outcomes by budget, response lengths and the problem x budget heat map; of "
        "several runs, in a folder each",
    )
    parser.add_argument(
        "--html",
        action="store_true",
        help="also page.html: every answer of these runs in one file that any browser opens",
    )
    parser.add_argument(
        "--format", choices=["md", "json"], help="print the whole report in this format instead of the table"
    )
    add_tracking(parser)
    parser.set_defaults(handler=report)


def report(arguments: argparse.Namespace) -> int:
    """Writes, prints, returns 0. Raises InputError for a run that is none, or runs not comparable."""
    from reghar.store import load_run

    tracker = tracker_from(arguments)
    named = [named_run(argument) for argument in arguments.runs]
    runs = [load_run(path) for _, path in named]
    reports = [
        _build(run, arguments.frontier, arguments.interval).called(name)
        for run, (name, _) in zip(runs, named, strict=True)
    ]
    if len(runs) == 1:
        written = _write_one(runs[0], reports[0], arguments)
    else:
        written = _write_several(runs, reports, arguments)
    page = written.page
    if arguments.html:
        _write_html(runs, reports, page.parent, quiet=arguments.format is not None)
    if tracker is not None:
        track_reports(tracker, reports, [name for name, _ in named], written.pictures)
    if arguments.format is not None:
        file = page if arguments.format == "md" else page.with_suffix(".json")
        sys.stdout.write(file.read_text(encoding="utf-8"))
    return 0


def _build(run: StoredRun, frontier: str | None, interval: IntervalKind | None) -> Report:
    from reghar.report.build import build_report

    return build_report(
        run,
        frontier=frontier or run.manifest.frontier,
        interval=interval or run.manifest.interval,
    )


def _write_html(runs: list[StoredRun], reports: list[Report], folder: Path, *, quiet: bool) -> None:
    from reghar.report.page.build import PageRun
    from reghar.report.page.write import write_page

    written = write_page(
        [PageRun(run=run, report=one) for run, one in zip(runs, reports, strict=True)], folder
    )
    if not quiet:
        sys.stdout.write(f"page: {written.path} ({written.size / 1e6:.1f} MB)\n")
    if not written.has_texts:
        folders = " ".join(str(run.path) for run in runs)
        sys.stderr.write(f"reghar: the samples' texts did not fit into one file: `reghar view {folders}`\n")


def _write_one(run: StoredRun, built: Report, arguments: argparse.Namespace) -> WrittenReport:
    from reghar.report import terminal
    from reghar.report.write import write_report

    written = write_report(built, run, arguments.out or run.path, figures=arguments.figures)
    if arguments.format is None:
        sys.stdout.write(terminal.summary(built, written))
    return written


def _write_several(
    runs: list[StoredRun], reports: list[Report], arguments: argparse.Namespace
) -> WrittenReport:
    from reghar.report import terminal
    from reghar.report.ranking import rank
    from reghar.report.write import write_ranking, write_report

    if arguments.out is None:
        raise InputError(f"{len(reports)} runs have no common folder: say with --out DIR where to write")
    ranked = rank(reports)
    written = write_ranking(ranked, arguments.out, figures=arguments.figures)
    if arguments.format is None:
        sys.stdout.write(terminal.ranking(ranked, written))
    if arguments.figures:
        for number, (run, built) in enumerate(zip(runs, reports, strict=True), start=1):
            folder = arguments.out / f"{number}-{run.path.resolve().name}"
            one = write_report(built, run, folder, figures=True)
            if arguments.format is None:
                sys.stdout.write(f"pictures of {printable(str(run.path))}: {printable(str(one.page))}\n")
    return written
