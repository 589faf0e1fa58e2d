"""`reghar judge`: a language model judges the reasoning of a run's traces."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from reghar.cli.options import add_option, given_settings, names
from reghar.errors import EngineError, InputError, StorageError
from reghar.run.settings import run_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reghar.engines.price import Prices
    from reghar.judge.asking import JudgePlan, JudgeQuestion
    from reghar.judge.summary import AspectSummary
    from reghar.store import StoredRun
    from reghar.store.judgements import Judgement

SERVER_OPTIONS = (
    "base_url",
    "api_key_env",
    "request_timeout",
    "patience",
    "body",
    "price_in",
    "price_out",
    "max_cost",
)
"""Of `reghar run`, and with its meaning."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "judge",
        help="a language model judges the reasoning: verbosity, difficulty, validity",
        description="Asks a chat server how verbose (rv), difficult (cd) and valid each stored trace of a "
        "complete run is, and stores its scores beside the run's. The same command goes on where it stopped, "
        "and where nothing is left to ask shows the summary alone.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a complete run")
    parser.add_argument("--judge", required=True, metavar="MODEL", help="the judge, as the servers call it")
    parser.add_argument(
        "--what", default="rv,cd,valid", metavar="A,B,...", help="rv, cd, valid (default: all three)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="replies to each question (default: 3)"
    )
    parser.add_argument(
        "--max-tokens", type=int, default=4096, metavar="N", help="longest reply, in tokens (default: 4096)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=16, metavar="N", help="requests at a time (default: 16)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for name in SERVER_OPTIONS:
        add_option(parser, run_options()[name])
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Asks what is not stored yet, then prints the summary."""
    from reghar.judge.asking import open_questions
    from reghar.judge.summary import summarize
    from reghar.store import load_run
    from reghar.store.judgements import read_judgements

    plan = _plan(arguments)
    run = load_run(arguments.run)
    run.require_complete()
    questions = open_questions(run, plan)
    if questions:
        _ask(arguments, run, plan, questions)
    judgements = [one for one in read_judgements(run.path) if one.repeat < plan.repeats]
    summaries = summarize(run, judgements, plan.judge, plan.aspects)
    if arguments.json:
        lines = [asdict(one) | {"measures_length": one.measures_length} for one in summaries]
        sys.stdout.write(json.dumps({"judge": plan.judge, "aspects": lines}, indent=1) + "\n")
    else:
        sys.stdout.write(_table(summaries))
    return 0


def _plan(arguments: argparse.Namespace) -> JudgePlan:
    from reghar.judge.asking import JudgePlan
    from reghar.store.judgements import Aspect

    given = given_settings(arguments)
    for name, value in given.items():
        run_options()[name].check(value)
    known = get_args(Aspect)
    asked = names(arguments.what)
    if not asked or len(set(asked)) < len(asked) or not set(asked) <= set(known):
        raise InputError(f"--what is {arguments.what!r}: give some of {','.join(known)}, each once")
    for flag, value in (
        ("--repeats", arguments.repeats),
        ("--max-tokens", arguments.max_tokens),
        ("--concurrency", arguments.concurrency),
    ):
        if value < 1:
            raise InputError(f"{flag} must be at least 1, not {value}")
    if given.get("max_cost") is not None and None in (given.get("price_in"), given.get("price_out")):
        raise InputError("--max-cost needs --price-in and --price-out, per million tokens")
    return JudgePlan(
        judge=arguments.judge,
        aspects=tuple(one for one in known if one in asked),
        repeats=arguments.repeats,
        fields=given.get("body", {}),
        max_tokens=arguments.max_tokens,
    )


def _ask(
    arguments: argparse.Namespace, run: StoredRun, plan: JudgePlan, questions: Sequence[JudgeQuestion]
) -> None:
    from reghar.engines.address import base_urls
    from reghar.engines.chat import ChatEngine
    from reghar.engines.price import CostCap, Prices
    from reghar.judge.asking import judge_traces
    from reghar.store.folder import RunFolder
    from reghar.store.judgements import JudgementWriter, read_judgements

    given: dict[str, Any] = given_settings(arguments)
    if given.get("base_url") is None:
        raise InputError(
            f"{len(questions)} judgements are to be asked: give --base-url, such as https://api.example.com/v1"
        )
    prices = Prices(prompt=given.get("price_in") or 0.0, completion=given.get("price_out") or 0.0)
    engine = ChatEngine(
        base_urls(given["base_url"]),
        plan.judge,
        api_key_env=given.get("api_key_env"),
        connections=arguments.concurrency,
        timeout=given.get("request_timeout", 600.0),
        patience=given.get("patience", 120.0),
        cap=CostCap(given.get("max_cost"), prices, _spent(read_judgements(run.path), plan, prices)),
    )
    engine.start()
    sys.stderr.write(f"{len(questions)} judgements to ask\n")
    with RunFolder(run.path):
        writer = JudgementWriter(run.path)
        try:
            asyncio.run(judge_traces(run, plan, questions, engine, arguments.concurrency, writer))
        except (EngineError, StorageError, KeyboardInterrupt):
            sys.stderr.write("replies that came are stored; the same command goes on\n")
            raise


def _spent(stored: Iterable[Judgement], plan: JudgePlan, prices: Prices) -> float:
    """What this judge's stored replies have cost: a cap is of all of them together."""
    return sum(
        prices.of(one.prompt_tokens, one.completion_tokens) for one in stored if one.judge == plan.judge
    )


def _table(summaries: Sequence[AspectSummary]) -> str:
    from reghar.terminal import table, terminal_width

    header = ("task", "what", "mean", "correct", "wrong", "spread", "unparsed", "rank correlation")
    rows = [
        (
            one.task,
            one.aspect,
            *(_figure(value) for value in (one.mean, one.mean_correct, one.mean_wrong, one.spread)),
            f"{100 * one.unparsed:.1f}%",
            _figure(one.rank_correlation),
        )
        for one in summaries
    ]
    text = table(header, rows, names=2, width=terminal_width())
    notes = [
        f"note: {one.task}: the judge measures length: rv has a rank correlation of "
        f"{one.rank_correlation:.2f} with log2 of the thinking tokens\n"
        for one in summaries
        if one.measures_length
    ]
    legend = (
        "rank correlation: Spearman's, of rv with log2 of the thinking tokens, of cd with the failure rate\n"
    )
    return text + legend + "".join(notes)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
