"""`reghar contamination`: which benchmark problems a training file holds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.cli.options import add_include_path, names
from reghar.errors import InputError

if TYPE_CHECKING:
    from reghar.tasks.contamination import Contamination, Overlap, Statement

MOST_SHOWN = 10
"""Boilerplate phrases in the tables; JSON has all."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "contamination",
        help="find benchmark problems in a training file",
        description="Find benchmark problems in a training file: a problem is contaminated when one of its "
        "n-grams of words, in lower case, occurs in a training row. N-grams of three or more problems of "
        "the packaged tasks are boilerplate: they are listed and not counted.",
    )
    parser.add_argument(
        "--train", type=Path, required=True, metavar="FILE", help="JSON lines, plain or gzip (.gz)"
    )
    parser.add_argument(
        "--field", default="question", metavar="NAME", help="of a training row, its text (default: question)"
    )
    parser.add_argument("--tasks", metavar="NAME,...", help="the benchmarks (default: all packaged ones)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder with <task>.jsonl[.gz]")
    add_include_path(parser)
    parser.add_argument("-n", type=int, default=8, metavar="N", help="words of an n-gram (default: 8)")
    parser.add_argument("--raw", action="store_true", help="count boilerplate like any other n-gram")
    parser.add_argument("--fail", action="store_true", help="exit 1 where a problem is contaminated")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Reads, searches and prints."""
    from reghar.tasks.contamination import Search, boilerplate_of

    if arguments.n < 1:
        raise InputError(f"-n is {arguments.n}: an n-gram has at least 1 word")
    asked, packaged, notes = _statements(arguments)
    boilerplate = {} if arguments.raw else boilerplate_of(packaged, arguments.n)
    search = Search(asked, arguments.n, boilerplate)
    _read_training(arguments.train, arguments.field, search)
    found = search.result()
    if arguments.json:
        sys.stdout.write(json.dumps(_as_json(found, notes), indent=1) + "\n")
    else:
        _print(found, notes)
    return 1 if arguments.fail and any(each.contaminated for each in found.problems) else 0


def _statements(arguments: argparse.Namespace) -> tuple[list[Statement], list[Statement], list[str]]:
    """The problems asked for, those whose phrases are boilerplate, and notes."""
    from reghar.tasks import list_tasks, load_task
    from reghar.tasks.problems import statements

    # A part of another task would count its problems twice. Programs are asked for in other phrases, and
    # their data are large.
    own = {task.name: task for task in list_tasks() if task.data == task.name and not task.answer.is_program}
    wanted = names(arguments.tasks) if arguments.tasks is not None else ()
    chosen = [load_task(name, arguments.include_paths) for name in dict.fromkeys(wanted)]
    if arguments.tasks is not None and not chosen:
        raise InputError("--tasks is empty: name benchmarks, separated by commas")
    asked = {task.name: statements(task, arguments.data_dir) for task in chosen}
    packaged: dict[str, list[Statement]] = {}
    unread = []
    for name, task in own.items():
        if name in asked and any(each == task for each in chosen):
            packaged[name] = asked[name]
        elif not arguments.raw or not chosen:
            try:
                packaged[name] = statements(task, arguments.data_dir)
            except InputError:
                unread.append(name)
    if not chosen:
        asked = packaged
    if not asked:
        raise InputError("no packaged task could be read: give --data-dir DIR, or --tasks to see why")
    return _joined(asked), _joined(packaged), _notes(unread, searched=not chosen)


def _notes(unread: list[str], *, searched: bool) -> list[str]:
    """What is missing because packaged tasks could not be read."""
    what = "not searched, and not counted for boilerplate" if searched else "not counted for boilerplate"
    return [f"{what}, since their problems could not be read: {', '.join(unread)}"] if unread else []


def _joined(by_task: dict[str, list[Statement]]) -> list[Statement]:
    return [statement for statements in by_task.values() for statement in statements]


def _read_training(path: Path, field: str, search: Any) -> None:
    from reghar.tasks.rows import iterate_json_lines

    for number, row in iterate_json_lines(path):
        text = row.get(field)
        if not isinstance(text, str):
            what = f"has a {field!r} that is no text" if field in row else f"has no {field!r}"
            raise InputError(f"{path} line {number} {what}: name the text with --field; it has {_keys(row)}")
        search.add(number, text)


def _keys(row: Any) -> str:
    return ", ".join(repr(str(key)[:40]) for key in list(row)[:8])


def _as_json(found: Contamination, notes: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(found), "notes": notes}


def _print(found: Contamination, notes: list[str]) -> None:
    from reghar.terminal import table, terminal_width

    width = terminal_width()
    tasks = dict.fromkeys(each.task for each in found.problems)
    write = sys.stdout.write
    write(f"{found.n}-grams in {found.train_rows:,} training rows\n\n")
    write(table(("task", "problems", "contaminated", "cannot tell"), _by_task(found, tasks), width=width))
    if hits := [each for each in found.problems if each.contaminated]:
        header = ("task", "problem", "n-grams", "share", "longest run", "training rows")
        write("\ncontaminated problems\n\n")
        write(table(header, map(_hit, hits), names=2, width=width))
    if found.boilerplate:
        shown = found.boilerplate[:MOST_SHOWN]
        rows = [(each.ngram or "(of a private task)", str(each.problems)) for each in shown]
        write("\nboilerplate, not counted\n\n")
        write(table(("n-gram", "problems"), rows, width=width))
        if more := len(found.boilerplate) - len(shown):
            write(f"and {more} more: see --json\n")
    for note in notes:
        write(f"note: {note}\n")


def _by_task(found: Contamination, tasks: Iterable[str]) -> Iterator[tuple[str, ...]]:
    for task in tasks:
        own = [each.contaminated for each in found.problems if each.task == task]
        yield task, str(len(own)), str(own.count(True)), str(own.count(None))


def _hit(each: Overlap) -> tuple[str, ...]:
    share = f"{100 * (each.share or 0):.0f}%"
    rows = ", ".join(map(str, each.rows))
    return each.task, each.problem, str(each.matching), share, str(each.longest_run), rows
