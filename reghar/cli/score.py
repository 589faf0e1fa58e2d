"""`reghar score`: grades the stored answers of a run again, and writes its report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reghar.terminal import printable


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "score", help="grade stored answers again, without an engine", description=__doc__
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--unsafe-code", action="store_true", help="run programs without a sandbox where there is none"
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Grades, then reports."""
    from reghar.cli.run import report_run
    from reghar.run.rescore import rescore

    for note in rescore(arguments.run, unsafe_code=arguments.unsafe_code):
        sys.stderr.write(f"note: {printable(note)}\n")
    return report_run(arguments.run)
