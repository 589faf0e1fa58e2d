"""`reghar run`: from a model's name to a REG figure."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import add_include_path, add_unclosed, key_values, names
from reghar.errors import EngineError, InputError, RunInterruptedError, StorageError

if TYPE_CHECKING:
    from reghar.run.plan import Plan
    from reghar.run.settings import RunSettings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "run", help="generate traces, force answers at every budget, score, report", description=__doc__
    )
    add_run_options(parser)
    parser.set_defaults(handler=handle)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Everything that decides what is run, how and where to."""
    what = parser.add_argument_group("what to run")
    what.add_argument("--model", help="folder, hub name, or demo:NAME (default demo:verbose)")
    what.add_argument("--revision", help="revision of a hub model")
    what.add_argument(
        "--tasks", help="comma-separated names; see `reghar tasks list`; a demo model needs none"
    )
    add_include_path(parser)
    what.add_argument("--data-dir", metavar="DIR", help="read DIR/<task>.jsonl[.gz] instead of the hub")
    what.add_argument("--limit", type=int, metavar="N", help="only the first N problems of each task")
    what.add_argument(
        "--samples", metavar="N", help="samples per problem: 32 (default), or aime24=32,gsm8k=4"
    )
    what.add_argument(
        "--until-width",
        type=float,
        metavar="W",
        help="4 samples first, then more in rounds, up to --samples, until the 95%% interval of every task's "
        "final accuracy is narrower than W percentage points",
    )
    what.add_argument("--seed", type=int, default=0, help="seed of the run (default 0)")

    curve = parser.add_argument_group("the curve")
    curve.add_argument("--budgets", help="reg (default), reg-32k, exp:N, linear:N or a list of tokens")
    curve.add_argument(
        "--budget-counts",
        choices=("response", "thinking"),
        default="response",
        help="tokens that a budget counts: all of the response (default), or its thinking alone",
    )
    curve.add_argument("--max-tokens", type=int, metavar="N", help="longest trace, in tokens (default 32768)")
    curve.add_argument("--probe", metavar="NAME", help="reo-rl (default), final-answer, s1 or summary")
    curve.add_argument(
        "--probe-text", metavar="TEXT", help="a probe of your own; {close_thinking} is filled in"
    )
    curve.add_argument(
        "--probe-temperature",
        type=float,
        metavar="T",
        help="temperature of forced answers (default: that of the traces)",
    )
    curve.add_argument(
        "--max-answer-tokens",
        type=int,
        metavar="N",
        help="longest forced answer, in tokens (default 64; 1024 without a box)",
    )
    curve.add_argument("--frontier", help="auto (default), a name, a file, or none")
    add_unclosed(curve, default="grade")
    curve.add_argument(
        "--interval",
        choices=("problems", "samples"),
        default="problems",
        help="bootstrap over problems (default), or over samples of these fixed problems",
    )

    control = parser.add_argument_group("test-time control (docs/control.md)")
    control.add_argument(
        "--control",
        metavar="METHOD",
        default="force",
        help="force (default: read off the curve), wait, tokens, steps, class, effort, template, or body",
    )
    control.add_argument(
        "--settings",
        metavar="A,B,...",
        help="of the method: tokens, steps, times to ignore the end of thinking, efforts, or names",
    )
    control.add_argument(
        "--wait-string",
        action="append",
        default=[],
        metavar="TEXT",
        help="in the place of an ignored end: Wait (default), none, or any text; may be repeated",
    )
    control.add_argument(
        "--control-user", metavar="TEXT", help="template: follows the question; holds {setting}"
    )
    control.add_argument(
        "--control-system", metavar="TEXT", help="effort, template: in the system prompt; holds {setting}"
    )

    sampling = parser.add_argument_group("sampling and prompt")
    sampling.add_argument(
        "--temperature", type=float, default=0.6, metavar="T", help="of sampling, 0 to 2 (default 0.6)"
    )
    sampling.add_argument(
        "--top-p", type=float, default=0.95, metavar="P", help="above 0, at most 1 (default 0.95)"
    )
    sampling.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="most likely tokens to sample from (default 0: all)"
    )
    sampling.add_argument("--min-p", type=float, default=0.0, metavar="P", help="0 to 1 (default 0: off)")
    sampling.add_argument("--presence-penalty", type=float, default=0.0, metavar="P", help="-2 to 2")
    sampling.add_argument("--frequency-penalty", type=float, default=0.0, metavar="P", help="-2 to 2")
    sampling.add_argument(
        "--repetition-penalty", type=float, default=1.0, metavar="P", help="above 0, at most 2; 1 is off"
    )
    sampling.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="ends a trace where it begins, for base models; may be repeated",
    )
    sampling.add_argument(
        "--date",
        metavar="YYYY-MM-DD",
        help="what a chat template that tells the date is told (default 2026-01-01, so that prompts stay "
        "the same tomorrow)",
    )
    sampling.add_argument(
        "--system-prompt",
        metavar="TEXT",
        help="system prompt (default: what the chat template does without one)",
    )
    sampling.add_argument(
        "--chat-template-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="reaches the chat template, such as enable_thinking=false; may be repeated",
    )
    sampling.add_argument(
        "--thinking-delimiters",
        nargs=2,
        metavar=("OPEN", "CLOSE"),
        help="delimiters of the thinking block (default: found from the tokenizer)",
    )
    sampling.add_argument(
        "--reasoning-parser",
        metavar="NAME",
        help="thinking delimiters by the name of vLLM's parser: mistral, ...",
    )

    engine = parser.add_argument_group("engine and output")
    engine.add_argument(
        "--engine",
        choices=("vllm", "openai", "chat", "ray", "scripted"),
        default="vllm",
        help="vllm in this process (default); openai: servers; chat: servers that show no "
        "tokens; ray: many replicas; "
        "scripted: a stand-in without a model, for trying out",
    )
    engine.add_argument(
        "--engine-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any argument of vLLM's engine, such as tensor_parallel_size=2; may be repeated",
    )
    engine.add_argument(
        "--concurrency", type=int, default=64, metavar="N", help="traces in flight (default 64); a replica"
    )
    engine.add_argument(
        "--out", metavar="DIR", help="run folder (default: results/<model>-<digest>-seed<seed>)"
    )
    engine.add_argument("--resume", action="store_true", help="go on where the run in that folder stopped")
    engine.add_argument("--dry-run", action="store_true", help="check and count everything, load no engine")
    engine.add_argument(
        "--gpu-tokens-per-second",
        type=float,
        default=2500.0,
        metavar="N",
        help="what a dry run takes one GPU to generate (default 2500)",
    )

    served = parser.add_argument_group("servers (--engine openai, chat)")
    served.add_argument(
        "--base-url", metavar="URL[,URL...]", help="servers of the OpenAI completions API with this model"
    )
    served.add_argument(
        "--served-model-name", metavar="NAME", help="what the servers call the model, if not by its own name"
    )
    served.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable that holds the servers' key"
    )
    served.add_argument(
        "--request-timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="longest silence of a server in the middle of a request (default 600)",
    )
    served.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="give up when no server has answered for so long, or start an engine that has made no token "
        "for so long again (default 120)",
    )

    chat = parser.add_argument_group("chat servers (--engine chat, docs/chat.md)")
    chat.add_argument(
        "--body",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a field of every request, such as stream=false; null removes one; may be repeated",
    )
    chat.add_argument("--price-in", type=float, metavar="X", help="price of a million prompt tokens")
    chat.add_argument("--price-out", type=float, metavar="X", help="price of a million response tokens")
    chat.add_argument("--max-cost", type=float, metavar="X", help="stop before the run costs more")

    replicas = parser.add_argument_group("replicas (--engine ray)")
    replicas.add_argument(
        "--replicas", type=int, default=1, metavar="N", help="engines that Ray places, each with its own GPUs"
    )
    replicas.add_argument(
        "--address",
        metavar="ADDRESS",
        help="address of a Ray cluster, or auto (default: one started on this machine)",
    )
    parser.set_defaults(handler=handle)


def settings_from(arguments: argparse.Namespace) -> RunSettings:
    """The settings behind the flags. Raises `InputError`."""
    from reghar.demo import settings as demo
    from reghar.prompting.scripted import SCRIPTED_MODEL
    from reghar.prompting.tokenizer import DEMO_PREFIX
    from reghar.run.settings import DEFAULT_SAMPLES, RunSettings

    model = arguments.model or (SCRIPTED_MODEL if arguments.engine == "scripted" else demo.MODEL)
    defaults: dict[str, str | int | None] = {
        "samples": str(DEFAULT_SAMPLES),
        "budgets": "reg",
        "max_tokens": None,
        "frontier": "auto",
    }
    if model.startswith(DEMO_PREFIX):
        # Settings that suit the model, whatever else is given; flags still win.
        defaults = demo.DEFAULTS
    elif arguments.tasks is None:
        raise InputError("--tasks is missing; `reghar tasks list` shows them")
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    arguments = argparse.Namespace(**(vars(arguments) | defaults | given))
    return RunSettings(
        model=model,
        revision=arguments.revision,
        tasks=tuple(name.removeprefix("reghar_") for name in names(arguments.tasks)),
        include_paths=tuple(arguments.include_path),
        data_dir=arguments.data_dir,
        limit=arguments.limit,
        samples=arguments.samples,
        until_width=arguments.until_width,
        budgets=arguments.budgets,
        budget_counts=arguments.budget_counts,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        top_k=arguments.top_k,
        min_p=arguments.min_p,
        presence_penalty=arguments.presence_penalty,
        frequency_penalty=arguments.frequency_penalty,
        repetition_penalty=arguments.repetition_penalty,
        stop=tuple(arguments.stop),
        date=arguments.date,
        seed=arguments.seed,
        probe=arguments.probe,
        probe_text=arguments.probe_text,
        probe_temperature=arguments.probe_temperature,
        max_answer_tokens=arguments.max_answer_tokens,
        system_prompt=arguments.system_prompt,
        chat_template_arguments=key_values(arguments.chat_template_arg, "--chat-template-arg"),
        thinking=tuple(arguments.thinking_delimiters) if arguments.thinking_delimiters else None,
        reasoning_parser=arguments.reasoning_parser,
        control=arguments.control,
        control_settings=names(arguments.settings or ""),
        wait_strings=tuple(arguments.wait_string),
        control_user=arguments.control_user,
        control_system=arguments.control_system,
        unclosed=arguments.unclosed,
        frontier=arguments.frontier,
        interval=arguments.interval,
        engine=arguments.engine,
        engine_arguments=key_values(arguments.engine_arg, "--engine-arg"),
        concurrency=arguments.concurrency,
        body=key_values(arguments.body, "--body"),
        price_in=arguments.price_in,
        price_out=arguments.price_out,
        max_cost=arguments.max_cost,
        base_url=arguments.base_url,
        served_model_name=arguments.served_model_name,
        api_key_env=arguments.api_key_env,
        request_timeout=arguments.request_timeout,
        patience=arguments.patience,
        replicas=arguments.replicas,
        address=arguments.address,
    )


def handle(arguments: argparse.Namespace) -> int:
    """Plans, runs and reports."""
    run_from(arguments)
    return 0


def run_from(arguments: argparse.Namespace) -> Path | None:
    """Plans, runs and reports; the run's folder, or None after a dry run."""
    from reghar.run.cost import dry_run_table
    from reghar.run.plan import make_plan, output_folder

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
