"""`reghar export`: stored runs as training data, as inspect_ai's logs, as a data set for the hub."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

from reghar.errors import InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "export",
        help="stored runs as training data, inspect_ai's log, or a data set for the hub",
        description="TRL's JSON lines from the traces of complete runs on tasks of your own: the shortest "
        "correct response of every problem, or preference pairs (packaged benchmarks are refused). Or one "
        "run, of any task, as others read it: --inspect, --hub.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of complete runs")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--sft", choices=("shortest",), help="prompt and completion: the shortest correct one")
    kind.add_argument(
        "--pairs",
        choices=("shortest", "dast"),
        help="chosen and rejected: the shortest correct and the longest of all; or (dast) the shortest and "
        "the longest of the right ones, and of the wrong ones",
    )
    kind.add_argument(
        "--inspect",
        type=Path,
        metavar="FILE",
        help="of one run: a log for `inspect view`, FILE.eval or FILE.json; of several tasks one each",
    )
    kind.add_argument(
        "--hub",
        type=Path,
        metavar="DIR",
        help="of one run: a folder ready for a data set on the Hugging Face hub, without the texts of "
        "private tasks",
    )
    parser.add_argument(
        "--ratio", type=float, metavar="R", help="of dast: the rejected is at least R times as long"
    )
    parser.add_argument(
        "--drop-solved",
        type=float,
        metavar="ACCURACY",
        help="without the problems that the run of --by solves with more than this accuracy (0..1)",
    )
    parser.add_argument("--by", type=Path, metavar="RUN", help="the run that --drop-solved goes by")
    for name, what in (("rv", "verbosity"), ("cd", "cognitive difficulty")):
        parser.add_argument(
            f"--{name}", metavar="A-B", help=f"only traces whose {what} a judge gave A to B (docs/judge.md)"
        )
    parser.add_argument("--judge", metavar="MODEL", help="whose scores, where a run has several judges'")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of printing")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Exports; what was made goes to standard error."""
    if (arguments.drop_solved is None) != (arguments.by is None):
        raise InputError("--drop-solved ACCURACY and --by RUN go together; give both")
    if arguments.ratio is not None and arguments.pairs != "dast":
        raise InputError("--ratio belongs to --pairs dast")
    if arguments.inspect is not None or arguments.hub is not None:
        return _share(arguments)
    return _training_data(arguments)


def _share(arguments: argparse.Namespace) -> int:
    """One run as inspect_ai's log or as a folder for the hub."""
    from reghar.store import load_run

    flag = "--hub" if arguments.inspect is None else "--inspect"
    if len(arguments.runs) > 1:
        raise InputError(f"{flag} takes one run, not {len(arguments.runs)}; export them one by one")
    others = (arguments.by, arguments.out, arguments.rv, arguments.cd, arguments.judge)
    if any(one is not None for one in others):
        raise InputError(
            f"--drop-solved, --by, --rv, --cd, --judge and --out belong to --sft and --pairs, not to {flag}"
        )
    run = load_run(arguments.runs[0])
    if arguments.hub is not None:
        from reghar.exports.hub_folder import write_hub_folder

        write_hub_folder(run, arguments.hub)
        sys.stderr.write(f"{arguments.hub}: a data set for the hub, its card is README.md\n")
        return 0
    from reghar.exports.inspect_log import write_logs

    for file in write_logs(run, arguments.inspect):
        sys.stderr.write(f"{file}: open it with `inspect view --log-dir {file.parent}`\n")
    return 0


def _training_data(arguments: argparse.Namespace) -> int:
    """JSON lines for a trainer."""
    from reghar.exports.judged import ScoreRange, parse_range
    from reghar.exports.training import load_groups, pairs, shortest_correct, unsolved
    from reghar.store import load_run

    ranges: list[ScoreRange] = []
    if arguments.rv is not None:
        ranges.append(parse_range("rv", arguments.rv))
    if arguments.cd is not None:
        ranges.append(parse_range("cd", arguments.cd))
    if arguments.judge is not None and not ranges:
        raise InputError("--judge says whose scores --rv and --cd mean; give one of them")
    groups = load_groups([load_run(path) for path in arguments.runs], ranges, arguments.judge)
    kept = groups
    if arguments.by is not None:
        kept = unsolved(groups, load_run(arguments.by), arguments.drop_solved)
    lines = shortest_correct(kept) if arguments.sft else pairs(kept, arguments.pairs, arguments.ratio)
    text, count = io.StringIO(), 0
    for line in lines:
        text.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    if arguments.out is None:
        sys.stdout.write(text.getvalue())
    else:
        from reghar.store.parts import write_aside

        write_aside(arguments.out, lambda file: file.write(text.getvalue().encode()))
    sys.stderr.write(f"{count} lines from {len(kept)} of {len(groups)} problems\n")
    return 0
