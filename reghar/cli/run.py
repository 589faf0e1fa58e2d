"""`reghar run`: from a model's name to a REG figure."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import add_option, given_settings
from reghar.cli.tracking import add_tracking, track_reports, tracker_from
from reghar.errors import EngineError, InputError, RunInterruptedError, StorageError
from reghar.run.settings import ENGINE_AND_OUTPUT, RunSettings, run_options

if TYPE_CHECKING:
    from reghar.run.plan import Plan


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "run", help="generate traces, force answers at every budget, score, report", description=__doc__
    )
    add_run_options(parser)
    add_tracking(parser.add_argument_group("experiment tracker (docs/training.md)"))
    parser.set_defaults(handler=handle)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Everything that decides what is run, how and where to: the settings, and what this command does."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in run_options().values():
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        add_option(groups[option.group], option)
    output = groups[ENGINE_AND_OUTPUT]
    output.add_argument(
        "--out", metavar="DIR", help="run folder (default: results/<model>-<digest>-seed<seed>)"
    )
    output.add_argument("--resume", action="store_true", help="go on where the run in that folder stopped")
    output.add_argument("--dry-run", action="store_true", help="check and count everything, load no engine")
    output.add_argument(
        "--gpu-tokens-per-second",
        type=float,
        default=2500.0,
        metavar="N",
        help="what a dry run takes one GPU to generate (default: 2500)",
    )


def settings_from(arguments: argparse.Namespace) -> RunSettings:
    """The settings behind the flags. Raises `InputError`."""
    from reghar.demo import settings as demo
    from reghar.prompting.scripted import SCRIPTED_MODEL
    from reghar.prompting.tokenizer import DEMO_PREFIX
    from reghar.run.model_sampling import with_model_sampling
    from reghar.tasks.task import short_name

    given = given_settings(arguments)
    model = given.get("model") or (SCRIPTED_MODEL if given.get("engine") == "scripted" else demo.MODEL)
    # Settings that suit a demo model, whatever else is given; flags still win.
    settings = (demo.DEMO_DEFAULTS if model.startswith(DEMO_PREFIX) else {}) | given | {"model": model}
    if "tasks" not in settings:
        raise InputError("--tasks is missing; `reghar tasks list` shows them")
    settings["tasks"] = tuple(short_name(name) for name in settings["tasks"])
    return RunSettings(**with_model_sampling(settings))


def handle(arguments: argparse.Namespace) -> int:
    """Plans, runs, reports, and sends the report to a tracker."""
    tracker = tracker_from(arguments)
    path = run_from(arguments)
    if tracker is not None and path is not None:
        from reghar.report.schema import Report

        track_reports(tracker, [Report.read(path)], [None], sorted(path.glob("curves.png")))
    return 0


def run_from(arguments: argparse.Namespace) -> Path | None:
    """Plans, runs and reports; the run's folder, or None after a dry run."""
    from reghar.run.cost import dry_run_table
    from reghar.run.plan import output_folder
    from reghar.run.planning import make_plan

    if not 0 < arguments.gpu_tokens_per_second < math.inf:
        raise InputError(f"--gpu-tokens-per-second must be above 0, not {arguments.gpu_tokens_per_second}")
    plan = make_plan(settings_from(arguments))
    path = Path(arguments.out) if arguments.out else output_folder(plan)
    if arguments.dry_run:
        # Of a run in rounds the most that it may come to.
        plan = plan.with_samples(plan.most_samples)
        sys.stdout.write(dry_run_table(plan, arguments.gpu_tokens_per_second))
        return None
    resume = f"reghar {shlex.join(_without_resume(arguments.command_line))} --resume"
    run_and_report(plan, path, resume=arguments.resume, resume_command=resume)
    return path


def run_and_report(plan: Plan, path: Path, *, resume: bool, resume_command: str) -> int:
    """Does the run, writes its report and shows the table; says how to go on where it stops."""
    from rich.console import Console

    from reghar.cli.until_width import until_width
    from reghar.run.pipeline import execute

    errors = Console(stderr=True)
    for note in plan.notes:
        errors.print(f"note: {note}", markup=False, highlight=False)
    try:
        rule = until_width(plan, errors)
        notes = execute(plan, path, resume=resume, console=errors, next_round=rule)
    except (RunInterruptedError, EngineError, StorageError):
        sys.stderr.write(f"what is finished is stored in {path}; go on with: {resume_command}\n")
        raise
    for note in notes:
        errors.print(f"note: {note}", markup=False, highlight=False)
    return report_run(path)


def report_run(path: Path) -> int:
    """Writes the report of a stored run and shows its table."""
    from reghar.report import terminal
    from reghar.report.build import build_report
    from reghar.report.write import write_report
    from reghar.store import load_run

    run = load_run(path)
    report = build_report(run, frontier=run.manifest.frontier, interval=run.manifest.interval)
    sys.stdout.write(terminal.summary(report, write_report(report, run, path)))
    return 0


def _without_resume(command_line: list[str]) -> list[str]:
    return [word for word in command_line if word != "--resume"]
