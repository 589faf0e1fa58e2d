"""`reghar probe`: other probes or budgets on the stored traces of a run, without generating them again."""

from __future__ import annotations

import argparse
from pathlib import Path

from reghar.cli.options import add_unclosed, key_values


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "probe",
        help="force answers on stored traces again, with another probe or other budgets",
        description=__doc__,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument("--probe", metavar="NAME", help="reo-rl, final-answer, s1 or summary")
    parser.add_argument("--probe-text", metavar="TEXT", help="a probe of your own")
    parser.add_argument(
        "--probe-temperature",
        type=float,
        metavar="T",
        help="temperature of forced answers (default: the run's own)",
    )
    parser.add_argument("--max-answer-tokens", type=int, metavar="N", help="longest forced answer, in tokens")
    parser.add_argument("--budgets", help="default: the run's own")
    add_unclosed(parser, default=None)
    parser.add_argument("--frontier", help="default: the run's own")
    parser.add_argument(
        "--engine-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any argument of vLLM's engine; may be repeated",
    )
    parser.add_argument("--concurrency", type=int, metavar="N", help="stored traces probed at a time")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the new run")
    parser.add_argument("--resume", action="store_true", help="go on where it stopped")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Copies the traces into a new run and answers what it lacks."""
    import shlex

    from reghar.cli.run import run_and_report
    from reghar.run.plan import make_plan, output_folder
    from reghar.run.reprobe import adopt_traces, reprobe_settings
    from reghar.store import load_run

    source = load_run(arguments.run)
    settings = reprobe_settings(
        source,
        probe=arguments.probe,
        probe_text=arguments.probe_text,
        probe_temperature=arguments.probe_temperature,
        max_answer_tokens=arguments.max_answer_tokens,
        budgets=arguments.budgets,
        unclosed=arguments.unclosed,
        frontier=arguments.frontier,
        concurrency=arguments.concurrency,
        engine_arguments=key_values(arguments.engine_arg, "--engine-arg"),
    )
    plan = make_plan(settings)
    path = arguments.out or output_folder(plan)
    adopt_traces(source, path, plan, resume=arguments.resume)
    words = [word for word in arguments.command_line if word != "--resume"]
    return run_and_report(plan, path, resume=True, resume_command=f"reghar {shlex.join(words)} --resume")
