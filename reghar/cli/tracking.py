"""`--track`: reports and comparisons sent to an experiment tracker."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.errors import InputError

if TYPE_CHECKING:
    from reghar.compare.table import Comparison
    from reghar.report.schema import Report
    from reghar.trackers.tracker import Tracker

NAMES = ("trackio", "wandb", "mlflow")
"""`reghar.trackers.tracker.TRACKERS`, written out so that help needs no import."""


def add_tracking(parser: argparse._ActionsContainer) -> None:
    """`--track`, `--project` and `--step`."""
    parser.add_argument(
        "--track",
        choices=NAMES,
        help="also send measures with intervals, the curve as a table, the picture and the protocol's digest "
        "to this experiment tracker (an extra of that name: reghar[wandb])",
    )
    parser.add_argument("--project", metavar="P", help="the tracker's project (default: reghar)")
    parser.add_argument(
        "--step", type=int, metavar="N", help="step of a training, by which its checkpoints line up"
    )


def tracker_from(arguments: argparse.Namespace) -> Tracker | None:
    """The tracker that was asked for; None without `--track`.

    Raises InputError for one that is not installed and for `--project`, `--step` without it.
    """
    if arguments.track is None:
        if arguments.project is not None or arguments.step is not None:
            raise InputError("--project and --step belong to --track; give a tracker, or leave them out")
        return None
    from reghar.trackers.tracker import Tracker

    project = {} if arguments.project is None else {"project": arguments.project}
    return Tracker(name=arguments.track, step=arguments.step, **project)


def track_reports(
    tracker: Tracker, reports: Sequence[Report], names: Sequence[str | None], pictures: Sequence[Path]
) -> None:
    """Sends every report as a run of its own. Raises InputError where several would be one."""
    from reghar.trackers.record import report_record

    records = [
        report_record(report, pictures, name=name, step=tracker.step)
        for report, name in zip(reports, names, strict=True)
    ]
    called = [record.name for record in records]
    if twice := [name for name in called if called.count(name) > 1]:
        raise InputError(
            f"several runs would be called {twice[0]!r} in the tracker: name them, as in `reghar report "
            "base=RUN plp=RUN`"
        )
    for record in records:
        tracker.send(record)


def track_comparison(tracker: Tracker, comparison: Comparison, digest: str) -> None:
    """Sends a comparison, with its picture; `digest` is the baseline's."""
    from tempfile import TemporaryDirectory

    from reghar.compare.figure import save_scatter
    from reghar.trackers.record import comparison_record

    with TemporaryDirectory() as folder:
        files = save_scatter(comparison, Path(folder) / "scatter")
        pictures = [file for file in files if file.suffix == ".png"]
        tracker.send(comparison_record(comparison, digest, pictures, step=tracker.step))
