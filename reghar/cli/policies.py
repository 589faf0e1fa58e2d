"""`reghar policies`: when a model could have stopped thinking, and where its tokens went."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from reghar.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "policies",
        help="what stopping early would save, and where the tokens went",
        description="From the stored answers of a complete run, without an engine: the most that policies "
        "save which stop when the answer is stable or the model confident, where the tokens went (useful, "
        "overthinking, futile), and what an oracle would save that gives every problem its own budget.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument(
        "--margin", type=float, default=0.01, help="accuracy that may be lost, as a fraction (default: 0.01)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the intervals (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--figures",
        action="store_true",
        help="also write policies.md and its pictures into RUN: accuracy over tokens, and where they went",
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Computes and prints."""
    if arguments.seed < 0:
        raise InputError(f"--seed {arguments.seed}: give a number from 0 on")
    from reghar.measures.policies_of_run import stored_policies
    from reghar.report.policies import policies_text
    from reghar.store import load_run

    run = load_run(arguments.run)
    result = stored_policies(run, margin=arguments.margin, seed=arguments.seed)
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write(policies_text(result))
    if arguments.figures:
        from reghar.report.write import write_policies

        for file in write_policies(result, run.path):
            sys.stderr.write(f"{file}\n")
    return 0
