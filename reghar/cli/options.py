"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from reghar.errors import InputError


def add_include_path(parser: argparse.ArgumentParser) -> None:
    """`--include-path`, also as lm-eval spells it."""
    parser.add_argument(
        "--include-path",
        "--include_path",
        action="append",
        default=[],
        metavar="DIR",
        help="folder with task YAML files of your own; may be repeated",
    )


def add_unclosed(parser: argparse._ActionsContainer, *, default: str | None) -> None:
    """`--unclosed`; None where the run's own is kept."""
    parser.add_argument(
        "--unclosed",
        choices=("grade", "no_answer"),
        default=default,
        help="a finished response that never closed a thinking block which the prompt opened: graded as a "
        "whole, or no answer; default: " + (default or "the run's own"),
    )


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Stored runs, each with a name of its own where tables and pictures should call it so."""
    parser.add_argument(
        "runs", nargs="+", metavar="[NAME=]RUN", help="folder of a run; NAME stands for its model's name"
    )


def named_run(argument: str) -> tuple[str | None, Path]:
    """The name and the folder that `[NAME=]RUN` gives; a path that exists is a path, whatever is in it."""
    name, equals, rest = argument.partition("=")
    if not equals or not name or Path(argument).exists():
        return None, Path(argument)
    return name, Path(rest)


def key_values(entries: list[str], flag: str) -> dict[str, Any]:
    """`key=value` entries as a dict; a value is read as JSON where it is JSON, else as text."""
    values: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{flag} takes key=value, not {entry!r}")
        values[key.strip().replace("-", "_")] = _value(text)
    return values


def _value(text: str) -> Any:
    lowered = text.strip().lower()
    if lowered in ("true", "false", "none", "null"):
        return {"true": True, "false": False}.get(lowered)
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)  # `NaN` and 1e999 are no JSON, whatever Python reads
    except ValueError:
        return text
    return value


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list, empty entries dropped."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
