"""`reghar check`: is a run worse than its baseline, or too far from the frontier? For CI."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.compare import add_statistics, write_text
from reghar.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reghar.compare.gate_file import GateFile
    from reghar.compare.gates import Gate
    from reghar.compare.measured import Bootstrap

DESCRIPTION = """Exit code 0: not worse; 1: worse; 2: bad input, or not comparable; 4: undecided. Worse means
that the whole interval of the difference (95%, one-sided) lies beyond the tolerance; not worse, that it lies
on the near side; undecided, that it straddles it: allow more, or buy more samples. Without
--measure and --max-reg the gates stand in reghar.toml or [tool.reghar.check] of pyproject.toml; where
there is neither, REG is gated. Against a report.json alone the test cannot be paired, and says so."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "check", help="fail where a run is worse than its baseline or a limit", description=DESCRIPTION
    )
    parser.add_argument("run", metavar="RUN", help="folder of a complete run; RUN+RUN for several seeds")
    parser.add_argument("--baseline", metavar="RUN", help="a run, RUN+RUN, or a report.json")
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        metavar="NAME",
        help="reg (default), accuracy (at L_max), accuracy@BUDGET, accuracy_full, mean_length or control; "
        "may be repeated",
    )
    parser.add_argument("--task", help="gate this task (default: the average over tasks)")
    parser.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="[NAME=]VALUE",
        help="how much worse is tolerated: tokens, accuracy as a fraction, control in %% (default: 0)",
    )
    parser.add_argument(
        "--undecided",
        choices=("pass", "fail"),
        default="fail",
        help="whether an undecided gate passes (exit code 0) or fails (default; exit code 4)",
    )
    parser.add_argument("--max-reg", type=float, metavar="TOKENS", help="most REG against the frontier")
    parser.add_argument("--gates", type=Path, metavar="FILE", help="gate file to read")
    add_statistics(parser)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a section for a job's summary")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Tests the gates, says what came out, writes what was asked for; returns 0, 1 or 4."""
    from reghar.compare import check_render
    from reghar.compare.check import check
    from reghar.compare.evidence import load_given

    asked = _request(arguments)
    if asked.baseline is None and any(gate.limit is None for gate in asked.gates):
        raise InputError("nothing to check against: give --baseline RUN-or-report.json, or --max-reg TOKENS")
    result = check(
        load_given(arguments.run),
        None if asked.baseline is None else load_given(asked.baseline),
        asked.gates,
        frontier=asked.frontier,
        bootstrap=asked.bootstrap,
        allowed=arguments.allow,
        undecided=arguments.undecided,
    )
    for path, render in (
        (arguments.junit, check_render.junit),
        (arguments.markdown, check_render.check_markdown),
    ):
        if path is not None:
            write_text(path, render(result))
    for line in check_render.lines(result):
        sys.stdout.write(f"{line}\n")
    return result.exit_code


@dataclass(frozen=True, kw_only=True)
class _CheckRequest:
    """What flags and gate file ask for together."""

    gates: Sequence[Gate]
    baseline: str | None
    frontier: str | None
    bootstrap: Bootstrap


def _request(arguments: argparse.Namespace) -> _CheckRequest:
    """Flags go before the file, which is read where no flag names a gate."""
    from reghar.compare.gate_file import find_gate_file, read_gate_file
    from reghar.compare.gates import gates_from_flags
    from reghar.compare.measured import Bootstrap

    named = arguments.measure or arguments.tolerance or arguments.task
    flagged = bool(named) or arguments.max_reg is not None
    if arguments.gates is not None and flagged:
        raise InputError("--gates holds the gates: leave out --measure, --task, --tolerance, --max-reg")
    file: GateFile | None
    if arguments.gates is not None:
        file = read_gate_file(arguments.gates)
    else:
        file = None if flagged else find_gate_file(Path())
    gates: Sequence[Gate] = (
        file.gates
        if file is not None
        else gates_from_flags(arguments.measure, arguments.task, arguments.tolerance, arguments.max_reg)
    )
    return _CheckRequest(
        gates=gates,
        baseline=arguments.baseline or (file.baseline if file else None),
        frontier=arguments.frontier or (file.frontier if file else None),
        bootstrap=Bootstrap(interval=arguments.interval or (file.interval if file else None) or "problems"),
    )
