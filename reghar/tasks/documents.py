"""A data set's row with our columns beside its own: `id`, `problem`, `gold`, and `choices` in order."""

from __future__ import annotations

import hashlib
import string
from typing import Any

from reghar.tasks.rows import Row
from reghar.tasks.task import Task


class RowError(Exception):
    """What is wrong with one row; whoever reads the rows adds which row it is."""


def canonical(row: Row, task: Task, index: int, *, from_folder: bool) -> dict[str, Any]:
    """The row with our columns; `index` counts from 0.

    `from_folder`: the row comes from a data folder, whose files have our columns: `metadata.fields` is
    asked only for those that are missing, and an id must be there. Elsewhere the index may stand for it.

    `gold` is the list of the answers as the data writes them. For a choice task the options, in their
    seeded order, stand below the problem, and gold is a letter.
    """
    document = dict(row)
    for ours, theirs in task.fields.items():
        if from_folder and ours in row:
            if isinstance(theirs, str):
                document.setdefault(theirs, row[ours])  # templates may name the data set's own column
            continue
        names = [theirs] if isinstance(theirs, str) else theirs
        missing = [name for name in names if name not in row]
        if not missing:
            document[ours] = row[theirs] if isinstance(theirs, str) else [row[name] for name in names]
        elif ours not in row and not from_folder:
            raise RowError(f"has no column {missing[0]!r} (metadata.fields.{ours}); it has {', '.join(row)}")
    document["id"] = _identity(document, index, needed=from_folder or "id" in task.fields)
    if isinstance(task.fields.get("choices"), list) and not from_folder and "answer" not in task.fields:
        document["answer"] = "A"  # one column a choice, the gold's first
    if task.answer.kind == "choice" and ("choices" in document or task.shuffle_seed is not None):
        _show_choices(document, task)
    if "problem" in document and not str(document["problem"] or "").strip():
        raise RowError("has no 'problem'")
    answers = document.get("answers") or document.get("answer")
    if answers is not None:
        document["gold"] = answers if isinstance(answers, list) else [answers]
    return document


def _identity(document: Row, index: int, *, needed: bool) -> str:
    identity = document.get("id")
    if not needed and (identity is None or not str(identity).strip()):
        return str(index)  # a data set without ids: its order is all there is
    return text_of(identity, "id")


def text_of(value: object, name: str) -> str:
    """The value as text. Raises RowError where it is blank, or neither text nor a number."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowError(f"has no {name!r}")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(f"has a {name!r} that is neither text nor a number: {str(value)[:60]!r}")
    return str(value)


def choice_order(count: int, seed: int | None, problem_id: str) -> list[int]:
    """Indices of the choices in the order shown: sorted by sha256 of `seed:problem id:index`.

    A hash instead of a generator's shuffle, so that the order never depends on a library's version.
    Without a seed the data's order stays.
    """
    if seed is None:
        return list(range(count))
    return sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}:{problem_id}:{i}".encode()).digest())


def _show_choices(document: dict[str, Any], task: Task) -> None:
    """Puts the choices in their order and below the problem; `answer` becomes the gold's new letter.

    `stem` is the problem without choices, for data whose `problem` lists them.
    """
    given = document.get("choices")
    if not isinstance(given, list) or not given:
        raise RowError("has no list of 'choices'")
    letters = string.ascii_uppercase[: len(given)]
    answer = text_of(document.get("answer"), "answer").strip().upper()
    if len(answer) != 1 or answer not in letters:
        raise RowError(f"has the answer {document['answer']!r}: give one letter of {letters}")
    stem = document.get("stem") or document.get("problem")
    if not stem:
        raise RowError("has no 'stem' and no 'problem'")
    order = choice_order(len(given), task.shuffle_seed, document["id"])
    choices = [str(given[index]).strip() for index in order]
    shown = "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True))
    document["problem"] = f"{str(stem).strip()}\n\n{shown}"
    document["choices"] = choices
    document["answer"] = letters[order.index(letters.index(answer))]
