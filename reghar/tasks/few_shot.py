"""Few-shot examples of a task: lm-eval's `fewshot_config`, as questions with the answers that are shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reghar.errors import InputError
from reghar.tasks.config import FunctionReference
from reghar.tasks.documents import RowError, text_of
from reghar.tasks.rows import Row, read_rows
from reghar.tasks.task import Task
from reghar.tasks.templates import compile_rule

Example = tuple[str, str]
"""A question, with the task's instruction, and the answer that is shown for it."""


class _Config(BaseModel):
    """The keys of `fewshot_config` that are read; lm-eval knows more, of which none changes a question."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="ignore")
    samples: list[dict[str, Any]] | FunctionReference | None = None
    split: str | None = None
    process_docs: FunctionReference | None = None
    doc_to_text: str | FunctionReference | None = None
    doc_to_target: str | FunctionReference | None = None


def load_examples(task: Task, count: int) -> tuple[Example, ...]:
    """The first `count` examples of the task, in its own order.

    Raises `InputError` where it has fewer, or one of them lacks what question or answer are made of.
    """
    if count == 0:
        return ()
    config = _config(task)
    rows = _rows(task, config)
    if len(rows) < count:
        raise InputError(
            f"task {task.name} has {len(rows)} few-shot examples, not {count}: lower --few-shot, or add "
            f"some to fewshot_config in {task.path}"
        )
    ask, answer = (
        compile_rule(config.doc_to_text or task.prompt),
        compile_rule(config.doc_to_target or task.target),
    )
    examples = []
    for number, row in enumerate(rows[:count], 1):
        document = _with_our_columns(row, task)
        try:
            examples.append((text_of(ask(document), "problem"), text_of(_first(answer(document)), "answer")))
        except RowError as error:
            raise InputError(f"task {task.name}: few-shot example {number} {error}") from error
    return tuple(examples)


def examples_digest(examples: tuple[Example, ...]) -> str:
    """sha256 (hex) over questions and answers in order: what the protocol compares."""
    return hashlib.sha256(json.dumps(examples).encode()).hexdigest()


def _config(task: Task) -> _Config:
    try:
        config = _Config.model_validate(task.few_shot or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("fewshot_config", *first["loc"])))
        raise InputError(f"{task.path}: {where}: {first['msg']}") from error
    if config.samples is None and config.split is None:
        raise InputError(
            f"task {task.name} has no few-shot examples: leave out --few-shot, or give {task.path} a "
            "fewshot_config with samples or a split"
        )
    return config


def _rows(task: Task, config: _Config) -> list[Row]:
    """As lm-eval takes them: a split goes before samples."""
    if config.split is not None:
        data = replace(task.dataset, split=config.split)
        found = read_rows(replace(task, dataset=data, process_docs=config.process_docs))
        return list(found.rows)
    samples = config.samples.resolve()() if isinstance(config.samples, FunctionReference) else config.samples
    if not isinstance(samples, list) or not all(isinstance(sample, Mapping) for sample in samples):
        raise InputError(f"{task.path}: fewshot_config.samples gives no list of mappings")
    return list(samples)


def _with_our_columns(row: Row, task: Task) -> Row:
    """The row with `problem`, `gold` and the like beside the data set's own columns."""
    ours = {
        name: row[theirs]
        for name, theirs in task.fields.items()
        if isinstance(theirs, str) and theirs in row and name not in row
    }
    document = {**row, **ours}
    if "gold" not in document and (answer := document.get("answers", document.get("answer"))) is not None:
        document["gold"] = answer if isinstance(answer, list) else [answer]
    return document


def _first(target: object) -> object:
    return target[0] if isinstance(target, list) and len(target) == 1 else target
