"""Task -> Problem: the question as the model gets it, and the gold answers."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.tasks.config import FunctionReference
from reghar.tasks.rows import Row, read_rows
from reghar.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One question with its gold answer."""

    task: str
    id: str
    """Unique within the task."""
    question: str
    """The whole user message: problem, choices and the task's instruction."""
    gold: tuple[str, ...]
    """Accepted answers, at least one; a letter for a choice task."""
    choices: tuple[str, ...]
    """Texts of the choices A, B, ... in the order shown; empty for other tasks."""


def load_problems(task: Task, data_dir: str | Path | None = None, limit: int | None = None) -> list[Problem]:
    """The task's problems in order, the first `limit` of them.

    `data_dir` holds `<task>.jsonl[.gz]`; without it the task's own data set is read.
    Raises InputError, one line, for data that cannot be read, a row without id, problem or answer
    (the row is named), and ids that occur twice.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit is {limit}: give at least 1")
    return [problem for problem, _ in _read(task, data_dir)][:limit]


def documents(task: Task, data_dir: str | Path | None = None) -> list[dict[str, Any]]:
    """The task's rows as lm-eval gets them: the data's columns and ours, `gold` and the answer rule among them."""
    rule = {"kind": task.answer.kind, "tolerance": task.answer.tolerance}
    return [
        {**document, "id": problem.id, "gold": list(problem.gold), "choices": list(problem.choices), **rule}
        for problem, document in _read(task, data_dir)
    ]


def _read(task: Task, data_dir: str | Path | None) -> list[tuple[Problem, dict[str, Any]]]:
    """Every problem with the row behind it."""
    rows = read_rows(task, None if data_dir is None else Path(data_dir))
    builder = _Builder(task, needs_id=data_dir is not None)
    read = [builder.problem(row, index) for index, row in enumerate(rows)]
    _refuse_repeated_ids([problem for problem, _ in read])
    return read


def problems_digest(problems: list[Problem]) -> str:
    """sha256 (hex) over id, question and gold of the problems in order: what the protocol compares."""
    content = [[problem.id, problem.question, list(problem.gold)] for problem in problems]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _refuse_repeated_ids(problems: list[Problem]) -> None:
    seen: dict[str, int] = {}
    for row, problem in enumerate(problems, 1):
        if problem.id in seen:
            raise InputError(
                f"task {problem.task}: rows {seen[problem.id]} and {row} have the same id {problem.id!r}: "
                "ids must be unique"
            )
        seen[problem.id] = row


class _Builder:
    """Turns rows of one task into problems; its rules are compiled once."""

    def __init__(self, task: Task, *, needs_id: bool) -> None:
        self._task = task
        self._needs_id = needs_id
        self._ask = _compile(task.prompt)
        self._target = _compile(task.target)

    def problem(self, row: Row, index: int) -> tuple[Problem, dict[str, Any]]:
        """The problem in one row, and the row with our columns; `index` counts from 0."""
        task = self._task
        try:
            document = canonical(row, task)
            identity = self._id(document, index)
            question = _text(self._ask(document), "problem")
            gold = tuple(_gold(value, task) for value in _as_list(_literal_list(self._target(document))))
        except _RowError as error:
            raise InputError(f"task {task.name}: row {index + 1} {error}") from error
        choices = tuple(document.get("choices", ())) if task.answer.kind == "choice" else ()
        problem = Problem(task=task.name, id=identity, question=question, gold=gold, choices=choices)
        return problem, document

    def _id(self, document: Row, index: int) -> str:
        identity = document.get("id")
        if identity is None or str(identity).strip() == "":
            if self._needs_id or "id" in self._task.fields:
                raise _RowError("has no 'id'")
            return str(index)  # a data set without ids: its order is all there is
        return str(identity)


class _RowError(Exception):
    """What is wrong with one row; `_Builder.problem` adds which row it is."""


def canonical(row: Row, task: Task) -> dict[str, Any]:
    """The row with our columns beside its own: `problem`, `answer`, `gold` (list), `choices`.

    For a choice task the options, in their seeded order, stand below the problem, and gold is a letter.
    """
    document = dict(row)
    for ours, theirs in task.fields.items():
        if ours in row:
            continue  # a data folder's file already has our columns
        names = [theirs] if isinstance(theirs, str) else theirs
        if all(name in row for name in names):
            document[ours] = row[theirs] if isinstance(theirs, str) else [row[name] for name in names]
    if task.answer.kind == "choice" and isinstance(document.get("choices"), list):
        _show_choices(document, task)
    answers = document.get("answers", document.get("answer"))
    if answers is not None:
        document["gold"] = [str(answer) for answer in _as_list(answers)]
    return document


def _show_choices(document: dict[str, Any], task: Task) -> None:
    """Puts the choices in their order and below the problem; `answer` becomes the gold's new letter.

    Without `answer` the first choice of the data is the gold.
    """
    letters = string.ascii_uppercase[: len(document["choices"])]
    answer = str(document.get("answer", "A")).strip().strip("()").upper()
    if not answer or answer not in letters or len(answer) != 1:
        raise _RowError(f"has the answer {document['answer']!r}: give one letter of {letters}")
    order = choice_order(len(letters), task.shuffle_seed, str(document.get("id")))
    stem = document.get("stem", document.get("problem"))
    if stem is None:
        raise _RowError("has no 'stem'")
    choices = [str(document["choices"][index]).strip() for index in order]
    shown = "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True))
    document["problem"] = f"{str(stem).strip()}\n\n{shown}"
    document["choices"] = choices
    document["answer"] = letters[order.index(letters.index(answer))]


def choice_order(count: int, seed: int | None, problem_id: str) -> list[int]:
    """Indices of the choices in the order shown: sorted by sha256 of `seed:problem id:index`.

    A hash instead of a generator's shuffle, so that the order never depends on a library's version.
    """
    if seed is None:
        return list(range(count))
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}:{problem_id}:{i}".encode()).digest())


def _gold(value: object, task: Task) -> str:
    text = _text(value, "answer").strip()
    if task.answer.kind == "integer":
        # Data sets write integers as 073 or 27.0; one form keeps the protocol's digest the same.
        if not re.fullmatch(r"[+-]?\d+(\.0*)?", text):
            raise _RowError(f"has the answer {text!r}, which is no integer")
        return str(int(text.partition(".")[0]))
    if task.answer.kind == "choice" and not re.fullmatch("[A-Z]", text):
        raise _RowError(f"has the answer {text!r}: give one letter")
    return text


def _text(value: object, name: str) -> str:
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if not text.strip():
        raise _RowError(f"has no {name!r}")
    return text


def _as_list(value: object) -> list[Any]:
    if isinstance(value, list | tuple):
        if not value:
            raise _RowError("has no 'answer'")
        return list(value)
    return [value]


def _compile(rule: str | FunctionReference) -> Callable[[Row], object]:
    """The rule as a function of a row, read as lm-eval reads it: a function, a column or a template."""
    if isinstance(rule, FunctionReference):
        return rule.resolve()
    if re.fullmatch(r"\w+", rule):
        return lambda row: _column(row, rule)
    return lambda row: _render(rule, row)


def _column(row: Row, name: str) -> object:
    if name not in row:
        raise _RowError(f"has no {'answer' if name == 'gold' else name!r}")
    return row[name]


def _literal_list(value: object) -> object:
    """A target that renders a Python list means several answers, as in lm-eval; all else stays itself."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            return ast.literal_eval(value)
        except (SyntaxError, ValueError):
            return value
    return value


def _render(template: str, row: Row) -> str:
    from jinja2 import TemplateError, UndefinedError

    try:
        return str(_template(template).render(**row))
    except UndefinedError as error:
        raise _RowError(f"does not fit the template {template[:60]!r}: {error}") from error
    except TemplateError as error:
        raise InputError(f"the template {template[:60]!r} is broken: {error}") from error


@cache
def _template(text: str) -> Any:
    from jinja2 import Environment, StrictUndefined

    # Prompts are plain text, never a web page: escaping would change them.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["regex_replace"] = _regex_replace
    return environment.from_string(text)


def _regex_replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    """The one filter that lm-eval adds to Jinja."""
    return re.sub(pattern, replacement, text, count=count)
