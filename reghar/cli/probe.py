"""`reghar probe`: other probes or budgets on the stored traces of a run, without generating them again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import add_option, given_settings
from reghar.errors import InputError
from reghar.run.settings import OF_A_PROBING, run_options

if TYPE_CHECKING:
    from reghar.run.plan import Plan


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "probe",
        help="force answers on stored traces again, with another probe or other budgets",
        description=__doc__,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    for name in OF_A_PROBING:
        add_option(parser, run_options()[name], "the run's own")
    parser.add_argument(
        "--wrap-up",
        dest="wrap_ups",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{run_options()['wrap_up'].help} (may be repeated: a run for each, in --out/NAME)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the new run")
    parser.add_argument("--resume", action="store_true", help="go on where it stopped")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Copies the traces into a new run and answers what it lacks."""
    import shlex

    from reghar.cli.run import run_and_report
    from reghar.run.planning import make_plans
    from reghar.run.reprobe import adopt_traces, reprobe_settings, require_free
    from reghar.store import load_run

    source = load_run(arguments.run)
    asked = given_settings(arguments)
    each = [asked | {"wrap_up": one} for one in arguments.wrap_ups] or [asked]
    plans = [plan for one in each for plan in make_plans(reprobe_settings(source, one))]
    paths = _folders(plans, arguments.out, apart=bool(arguments.wrap_ups))
    require_free(paths, resume=arguments.resume)
    for plan, path in zip(plans, paths, strict=True):
        adopt_traces(source, path, plan)
    words = [word for word in arguments.command_line if word != "--resume"]
    return run_and_report(plans, paths, resume=True, resume_command=f"reghar {shlex.join(words)} --resume")


def _folders(plans: Sequence[Plan], out: Path | None, *, apart: bool) -> list[Path]:
    """Where each run goes; those of wrap-ups below `--out`, each under its name. Raises `InputError`."""
    from reghar.run.plan import output_folder

    names = [plan.probe.name for plan in plans]
    unnamed = names.count("custom")
    numbers = count(1)
    names = [f"custom-{next(numbers)}" if unnamed > 1 and name == "custom" else name for name in names]
    if len({plan.probe.text for plan in plans}) < len(plans):
        raise InputError(f"--wrap-up names one twice: {', '.join(names)}")
    if out is None:
        return [output_folder(plan) for plan in plans]
    return [out / name if apart else out for name in names]
