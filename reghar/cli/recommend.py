"""`reghar recommend`: which thinking budget to serve a model with, from stored runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.cli.options import add_runs, named_run
from reghar.errors import InputError

if TYPE_CHECKING:
    from reghar.measures.prices import TokenPrice
    from reghar.store import StoredRun


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "recommend",
        help="the smallest budget that is not worse than unbounded thinking",
        description="Which budget to serve with, from the stored answers of a complete run, without an "
        "engine: the smallest that is not worse than unbounded thinking by more than the margin, its "
        "accuracy, tokens and price, what is not decided, and where the tokens went. Of several probings of "
        "the same traces, such as those with other wrap-ups, also which of them to take.",
    )
    add_runs(parser)
    parser.add_argument(
        "--margin", type=float, default=0.01, help="accuracy that may be lost, as a fraction (default: 0.01)"
    )
    parser.add_argument("--price-input", type=float, metavar="P", help="price of a million prompt tokens")
    parser.add_argument("--price-output", type=float, metavar="P", help="price of a million response tokens")
    parser.add_argument(
        "--price-model", metavar="NAME", help="the prices of a hosted model, by the package genai-prices"
    )
    parser.add_argument("--gpu-hour-price", type=float, metavar="P", help="price of an hour of the hardware")
    parser.add_argument(
        "--tokens-per-second",
        type=float,
        metavar="R",
        help="response tokens it writes in a second, in all",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the intervals (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="write FILE.png and FILE.svg: accuracy over mean tokens, a line for each run",
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Computes and prints."""
    if arguments.seed < 0:
        raise InputError(f"--seed {arguments.seed}: give a number from 0 on")
    from reghar.measures.recommendation import recommendation, recommendations
    from reghar.report.serving import recommendation_text, recommendations_text
    from reghar.report.to_paste import lines_to_paste

    price = _price(arguments)
    runs = _labelled(arguments.runs)
    asked = {"margin": arguments.margin, "price": price, "seed": arguments.seed}
    if len(runs) == 1:
        ((choice, run),) = runs.items()
        found = recommendation(run, **asked)
        of_each: dict[str, Any] = {choice: found}
    else:
        found = recommendations(runs, **asked)
        of_each, choice = found["runs"], found["choice"]
    for label, result in of_each.items():
        result["to_paste"] = lines_to_paste(runs[label], result["recommended"])
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=1, allow_nan=False) + "\n")
    else:
        sys.stdout.write(recommendation_text(found) if len(runs) == 1 else recommendations_text(found))
    if arguments.figure is not None:
        from reghar.report.figures.serving import write_serving_figure

        files = write_serving_figure(of_each, choice, arguments.figure)
        if not arguments.json:
            sys.stdout.write(f"\npicture:  {files[0]}\n")
    return 0


def _price(arguments: argparse.Namespace) -> TokenPrice | None:
    """The price that was asked for; None for none. Raises `InputError` for half of one, or two."""
    from reghar.measures.prices import TokenPrice, gpu_price, listed_price

    tokens = (arguments.price_input, arguments.price_output)
    gpu = (arguments.gpu_hour_price, arguments.tokens_per_second)
    if tokens.count(None) == 1:
        raise InputError("a price needs both --price-input and --price-output")
    if gpu.count(None) == 1:
        raise InputError("a price needs both --gpu-hour-price and --tokens-per-second")
    asked = [tokens[0] is not None, gpu[0] is not None, arguments.price_model is not None]
    if sum(asked) > 1:
        raise InputError(
            "give one price: --price-input and --price-output, or --price-model, or --gpu-hour-price and "
            "--tokens-per-second"
        )
    if arguments.price_model is not None:
        return listed_price(arguments.price_model)
    if gpu[0] is not None:
        return gpu_price(*gpu)
    return None if tokens[0] is None else TokenPrice(input=tokens[0], output=tokens[1])


def _labelled(arguments: Sequence[str]) -> dict[str, StoredRun]:
    """The runs by NAME, else by their probe where that tells them apart, else by their folder."""
    from reghar.store import load_run

    named = [named_run(argument) for argument in arguments]
    runs = [load_run(path) for _, path in named]
    probes = [run.protocol.probe.name for run in runs]
    apart = len(set(probes)) == len(probes)
    labels = [
        name or (probe if apart else run.path.resolve().name)
        for (name, _), run, probe in zip(named, runs, probes, strict=True)
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"two runs are called {label!r}: name them, as in first=RUN second=RUN")
    return dict(zip(labels, runs, strict=True))
