"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_origin

from reghar.errors import InputError
from reghar.run.options import Option
from reghar.run.settings import run_options


def add_option(parser: argparse._ActionsContainer, option: Option, default_text: str | None = None) -> None:
    """Adds the flag of a setting; where it is not given, the arguments have nothing of that name.

    `default_text` is this command's default where that is not the setting's own.
    """
    takes: dict[str, Any] = {"metavar": option.metavar}
    if option.type is bool:
        takes = {"action": "store_true"}
    elif option.choices:
        takes = {"choices": option.choices}
    elif option.repeated:
        takes["action"] = "append"
    elif option.type in (int, float):
        takes["type"] = _number_or_word(option) if option.none else option.type
    elif isinstance(option.metavar, tuple):
        takes["nargs"] = len(option.metavar)
    words = option.describe(default_text).replace("%", "%%")  # argparse formats with %
    parser.add_argument(*option.flags, dest=option.name, default=argparse.SUPPRESS, help=words, **takes)


def _number_or_word(option: Option) -> Callable[[str], int | float | None]:
    def read(text: str) -> int | float | None:
        return None if text == option.none else option.type(text)

    read.__name__ = f"{option.type.__name__} or {option.none}"  # what argparse calls it where it is neither
    return read


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings whose flags were given, by name. Raises `InputError` for what is no `key=value`."""
    given = vars(arguments)
    return {name: _read(each, given[name]) for name, each in run_options().items() if name in given}


def _read(option: Option, words: Any) -> Any:
    if option.commas:
        return names(words)
    if get_origin(option.type) is dict:
        return key_values(words, option.flag)
    return tuple(words) if isinstance(words, list) else words


def add_include_path(parser: argparse.ArgumentParser) -> None:
    """`--include-path`, for commands that read tasks without running them."""
    add_option(parser, run_options()["include_paths"])
    parser.set_defaults(include_paths=[])


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
    from reghar.prompting.control import json_value

    lowered = text.strip().lower()
    if lowered in ("true", "false", "none", "null"):
        return {"true": True, "false": False}.get(lowered)
    return json_value(text)


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list, empty entries dropped."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
