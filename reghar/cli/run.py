"""`reghar run`: from a model's name to a REG figure."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
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
    if settings.get("wrap_up") is not None:
        settings.setdefault("budget_counts", "thinking")
    settings["tasks"] = tuple(short_name(name) for name in settings["tasks"])
    return RunSettings(**with_model_sampling(settings))


def handle(arguments: argparse.Namespace) -> int:
    """Plans, runs, reports, and sends the reports to a tracker."""
    tracker = tracker_from(arguments)
    paths = run_from(arguments)
    if tracker is not None and paths:
        from reghar.report.schema import Report

        pictures = [picture for path in paths for picture in sorted(path.glob("curves.png"))]
        track_reports(tracker, [Report.read(path) for path in paths], [None] * len(paths), pictures)
    return 0


def run_from(arguments: argparse.Namespace) -> list[Path]:
    """Plans, runs and reports; the folder of each run, none after a dry run."""
    from reghar.run.cost import dry_run_table
    from reghar.run.planning import make_plans

    if not 0 < arguments.gpu_tokens_per_second < math.inf:
        raise InputError(f"--gpu-tokens-per-second must be above 0, not {arguments.gpu_tokens_per_second}")
    settings = settings_from(arguments)
    plans = make_plans(settings)
    if arguments.dry_run:
        # Of a run in rounds the most that it may come to.
        plan = plans[0].with_samples(plans[0].most_samples)
        sys.stdout.write(dry_run_table(plan, arguments.gpu_tokens_per_second))
        if settings.adapters:
            sys.stdout.write(f"That is one of {len(plans)} runs, one for each of --adapters.\n")
        return []
    out = None if arguments.out is None else Path(arguments.out)
    paths = _folders(plans, out, apart=bool(settings.adapters))
    resume = f"reghar {shlex.join(_without_resume(arguments.command_line))} --resume"
    run_and_report(plans, paths, resume=arguments.resume, resume_command=resume)
    return paths


def _folders(plans: Sequence[Plan], out: Path | None, *, apart: bool) -> list[Path]:
    """Where each run goes: with adapters each into a folder of its own below `--out`."""
    from reghar.prompting.adapters import BASE
    from reghar.run.plan import output_folder

    if out is None:
        return [output_folder(plan) for plan in plans]
    return [out / (plan.adapter.name if plan.adapter else BASE) if apart else out for plan in plans]


def run_and_report(plans: Sequence[Plan], paths: Sequence[Path], *, resume: bool, resume_command: str) -> int:
    """Does the runs, writes their reports and shows the tables; says how to go on where they stop."""
    from rich.console import Console

    from reghar.cli.until_width import until_width
    from reghar.run.pipeline import RunTarget, execute_all

    errors = Console(stderr=True)
    for note in dict.fromkeys(note for plan in plans for note in plan.notes):
        errors.print(f"note: {note}", markup=False, highlight=False)
    try:
        targets = [
            RunTarget(plan=plan, path=path, next_round=until_width(plan, errors))
            for plan, path in zip(plans, paths, strict=True)
        ]
        notes = execute_all(targets, resume=resume, console=errors)
    except (RunInterruptedError, EngineError, StorageError):
        where = ", ".join(map(str, paths))
        sys.stderr.write(f"what is finished is stored in {where}; go on with: {resume_command}\n")
        raise
    for note in notes:
        errors.print(f"note: {note}", markup=False, highlight=False)
    for path in paths:
        report_run(path)
    return 0


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
