"""Task -> Problem: the question as the model gets it, and the gold answers."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.tasks.code_rows import tests_of_row
from reghar.tasks.contamination import Statement
from reghar.tasks.documents import RowError, canonical, text_of
from reghar.tasks.rows import Row, read_rows
from reghar.tasks.subset import is_asked
from reghar.tasks.task import Task
from reghar.tasks.templates import compile_rule, literal_list


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One question with its gold answer."""

    task: str
    """Name of its task, without prefix."""
    id: str
    """Unique within the task."""
    question: str
    """The whole user message: problem, choices and the task's instruction."""
    gold: tuple[str, ...]
    """The answers, at least one; several must all be given. A letter for a choice task, the tests as JSON
    (see `reghar.tasks.code_tests`) for a code task."""
    choices: tuple[str, ...]
    """Texts of the choices A, B, ... in the order shown; empty for other tasks."""
    cluster: str | None = None
    """The source that it shares with other problems of its task; None where the task declares none."""


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
    """The task's rows as lm-eval gets them: the data's columns and ours, `gold` and answer rule too."""
    answer = task.answer
    rule = {"kind": answer.kind, "tolerance": answer.tolerance, "fallback": answer.fallback}
    return [
        {**document, "id": problem.id, "gold": list(problem.gold), "choices": list(problem.choices), **rule}
        for problem, document in _read(task, data_dir)
    ]


def statements(task: Task, data_dir: str | Path | None = None) -> list[Statement]:
    """What the task's problems say: without choices where the data has a stem, without the instruction."""
    return [
        Statement(
            task=task.name,
            problem=problem.id,
            text=str(document.get("stem") or document.get("problem") or problem.question),
            private=task.private,
        )
        for problem, document in _read(task, data_dir)
    ]


def problems_digest(problems: list[Problem]) -> str:
    """sha256 (hex) over id, question and gold of the problems in order: what the protocol compares."""
    content = [[problem.id, problem.question, list(problem.gold)] for problem in problems]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read(task: Task, data_dir: str | Path | None) -> list[tuple[Problem, dict[str, Any]]]:
    """Every problem with the row behind it."""
    found = read_rows(task, None if data_dir is None else Path(data_dir))
    builder = _Builder(task, from_folder=data_dir is not None)
    read: list[tuple[Problem, dict[str, Any]]] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(found.rows, 1):
        try:
            if not is_asked(row, task):
                continue
            problem, document = builder.problem(row, number - 1)
        except RowError as error:
            raise InputError(f"{found.source}: row {number} of task {task.name} {error}") from error
        if problem.id in seen:
            raise InputError(
                f"{found.source}: rows {seen[problem.id]} and {number} of task {task.name} "
                f"have the same id {problem.id!r}: make the ids unique"
            )
        seen[problem.id] = number
        read.append((problem, document))
    if not read:
        asked = f"ids like {task.ids}" if task.ids is not None else f"contests of {task.window}"
        raise InputError(f"task {task.name}: {found.source} has no problems with {asked}")
    return read


class _Builder:
    """Turns rows of one task into problems; the task's rules are compiled once."""

    def __init__(self, task: Task, *, from_folder: bool) -> None:
        self._task = task
        self._from_folder = from_folder
        self._ask = compile_rule(task.prompt)
        self._target = compile_rule(task.target)
        self._cluster = None if task.cluster is None else compile_rule(task.cluster)

    def problem(self, row: Row, index: int) -> tuple[Problem, dict[str, Any]]:
        """The problem in one row, and the row with our columns; `index` counts from 0."""
        task = self._task
        document = canonical(row, task, index, from_folder=self._from_folder)
        problem = Problem(
            task=task.name,
            id=document["id"],
            question=text_of(self._ask(document), "problem"),
            gold=self._gold(document),
            choices=tuple(document.get("choices", ())) if task.answer.kind == "choice" else (),
            cluster=None if self._cluster is None else text_of(self._cluster(document), "cluster").strip(),
        )
        return problem, document

    def _gold(self, document: Row) -> tuple[str, ...]:
        if self._task.answer.kind == "code":
            return (tests_of_row(document, self._task.answer.tests).as_text(),)
        answers = literal_list(self._target(document))
        if not isinstance(answers, list):
            return (_one_gold(answers, self._task),)
        if not answers:
            raise RowError("has no 'answer'")
        if len(answers) > 1 and self._task.target != "gold":
            raise RowError(
                "has several targets: name one answer in doc_to_target, or set metadata.fields.answers "
                "and `doc_to_target: gold` where all must be given"
            )
        return tuple(_one_gold(answer, self._task) for answer in answers)


def _one_gold(value: object, task: Task) -> str:
    text = text_of(value, "answer").strip()
    if task.answer.kind == "integer":
        # Data sets write integers as 073 or 27.0; one form keeps the protocol's digest the same.
        match = re.fullmatch(r"([+-]?)0*(\d+?)(\.0*)?", text)
        if match is None:
            raise RowError(f"has the answer {text[:60]!r}, which is no integer")
        sign = "-" if match[1] == "-" and match[2] != "0" else ""
        return sign + match[2]
    if task.answer.kind == "choice" and not re.fullmatch("[A-Z]", text):
        raise RowError(f"has the answer {text[:60]!r}: give one letter")
    return text
