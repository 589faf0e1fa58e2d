"""`reghar lm-eval`: a run, and lm-eval's own result and sample files of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reghar.cli.options import given_settings
from reghar.cli.run import add_run_options, run_from
from reghar.errors import InputError
from reghar.run.settings import run_options


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "lm-eval",
        help="a run, and lm-eval's own result and sample files of it",
        description="Runs as `reghar run` does, then writes lm-eval's result and sample files with the "
        "accuracy at every budget (acc@L), REG, Control and Scaling. With --run, of a stored run.",
    )
    files = parser.add_argument_group("lm-eval's files")
    files.add_argument("--run", metavar="RUN", help="folder of a stored run; nothing is generated")
    files.add_argument(
        "--output-path",
        "--output_path",
        type=Path,
        metavar="DIR",
        help="where lm-eval's files go (default: lm-eval/ in the run's folder)",
    )
    add_run_options(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Runs where there is no run yet; writes the files and shows lm-eval's table."""
    if arguments.run is not None and (given := given_settings(arguments)):
        flags = ", ".join(run_options()[name].flag for name in given)
        raise InputError(f"--run is a stored run, whose settings are its own: leave out {flags}")
    _require_lm_eval()
    paths = run_from(arguments) if arguments.run is None else [Path(arguments.run)]
    import logging

    from lm_eval.utils import make_table

    from reghar.lm_eval_bridge import write_results
    from reghar.store import load_run

    # Its warnings are about options that this command does not have.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    for path in paths:
        output = path / "lm-eval" if arguments.output_path is None else arguments.output_path
        if len(paths) > 1 and arguments.output_path is not None:
            output /= path.name
        results, file = write_results(load_run(path), output)
        sys.stdout.write(f"{make_table(results)}\n{file}\n")
    return 0


def _require_lm_eval() -> None:
    """Asked before hours of generation, not after."""
    from importlib.util import find_spec

    if find_spec("lm_eval") is None:
        raise InputError("lm-eval is not installed; install it with: pip install 'reghar[lm-eval]'")
