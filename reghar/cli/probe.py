"""`reghar probe`: other probes or budgets on the stored traces of a run, without generating them again."""

from __future__ import annotations

import argparse
from pathlib import Path

from reghar.cli.options import add_option, given_settings
from reghar.run.settings import OF_A_PROBING, run_options


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
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the new run")
    parser.add_argument("--resume", action="store_true", help="go on where it stopped")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Copies the traces into a new run and answers what it lacks."""
    import shlex

    from reghar.cli.run import run_and_report
    from reghar.run.plan import output_folder
    from reghar.run.planning import make_plans
    from reghar.run.reprobe import adopt_traces, reprobe_settings
    from reghar.store import load_run

    source = load_run(arguments.run)
    (plan,) = make_plans(reprobe_settings(source, given_settings(arguments)))
    path = arguments.out or output_folder(plan)
    adopt_traces(source, path, plan, resume=arguments.resume)
    words = [word for word in arguments.command_line if word != "--resume"]
    return run_and_report([plan], [path], resume=True, resume_command=f"reghar {shlex.join(words)} --resume")
