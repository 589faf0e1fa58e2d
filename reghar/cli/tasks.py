"""`reghar tasks list | show NAME | path`: which benchmarks there are and what they ask."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reghar.cli.options import add_include_path

if TYPE_CHECKING:
    from reghar.tasks import Task


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its three actions."""
    parser = subparsers.add_parser("tasks", help="list the benchmark tasks, show one, print their folder")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | path")
    listing = actions.add_parser("list", help="every task in one table")
    show = actions.add_parser("show", help="one task's settings, and an example prompt with --data-dir")
    show.add_argument("name", metavar="NAME", help="with or without the prefix reghar_")
    show.add_argument("--data-dir", type=Path, metavar="DIR", help="folder with NAME.jsonl[.gz]")
    path = actions.add_parser("path", help="the folder of the task files, for lm-eval's --include_path")
    for action, handler in ((listing, _list), (show, _show), (path, _path)):
        action.set_defaults(handler=handler)
    for action in (listing, show):
        add_include_path(action)


def _list(arguments: argparse.Namespace) -> int:
    from reghar.tasks import list_tasks
    from reghar.terminal import table

    header = ("task", "answer", "data set", "description")
    rows = [
        (task.name, task.answer.kind, _data_set(task), " ".join(task.description.split()))
        for task in list_tasks(arguments.include_paths)
    ]
    sys.stdout.write(table(header, rows, names=len(header)))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from reghar.tasks import load_problems, load_task, problems_digest
    from reghar.terminal import fields, printable

    task = load_task(arguments.name, arguments.include_paths)
    settings = _settings(task)
    problems = [] if arguments.data_dir is None else load_problems(task, arguments.data_dir)
    if problems:
        settings.append(("problems", f"{len(problems)}, sha256 {problems_digest(problems)}"))
    sys.stdout.write(fields(settings))
    if problems:
        if task.private:
            sys.stdout.write("\nNo example: the authors ask that examples do not appear in plain text.\n")
        else:
            question = "\n".join(printable(line) for line in problems[0].question.splitlines())
            sys.stdout.write(f"\n{printable(problems[0].id)} asks:\n\n{question}\n")
    return 0


def _path(_: argparse.Namespace) -> int:
    from reghar.paths import data_dir

    sys.stdout.write(f"{data_dir('tasks')}\n")
    return 0


def _settings(task: Task) -> list[tuple[str, str]]:
    answer = task.answer
    settings: list[tuple[str, object]] = [
        ("task", task.name),
        ("description", task.description),
        ("file", task.path),
        ("version", task.version),
        ("data set", _data_set(task)),
        ("split", task.dataset.split),
        ("revision", task.dataset.revision or "not pinned"),
        ("columns", ", ".join(f"{ours} = {theirs}" for ours, theirs in task.fields.items())),
        ("answer", answer.kind),
        ("ids", task.ids),
        ("window", task.window),
        ("tolerance", answer.tolerance and f"{answer.tolerance:g} relative: {answer.tolerance_reason}"),
        ("without a box", answer.fallback),
        ("seed of choices", task.shuffle_seed),
        ("clusters", task.cluster),
        ("prompt", repr(task.prompt) if isinstance(task.prompt, str) else f"!function {task.prompt.name}"),
    ]
    known = ((name, value) for name, value in settings if value is not None and value != "")
    return [(name, " ".join(str(value).split())) for name, value in known]


def _data_set(task: Task) -> str:
    dataset = task.dataset
    if dataset.function is not None:
        return f"!function {dataset.function.name}"
    if dataset.path is None:
        return "--data-dir only"
    files = dataset.arguments.get("data_files")
    if isinstance(files, list) and len(files) > 1:
        files = f"{files[0]} and {len(files) - 1} more"
    return " ".join(str(part) for part in (dataset.path, dataset.name, files) if part)
