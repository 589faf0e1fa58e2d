"""Which of a data set's rows a task asks: those with certain ids, or of contests between two days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from reghar.errors import InputError
from reghar.tasks.documents import RowError
from reghar.tasks.rows import Row
from reghar.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Window:
    """Both days belong to it."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def parse_window(text: str) -> Window:
    """The days in `2024-08-01,2025-05-01`. Raises InputError."""
    parts = text.split(",")
    try:
        first, last = (date.fromisoformat(part.strip()) for part in parts)
    except ValueError as error:
        raise InputError(f"a window is two days such as 2024-08-01,2025-05-01, not {text!r}") from error
    if last < first:
        raise InputError(f"the window {text!r} ends before it begins")
    return Window(first=first, last=last)


def is_asked(row: Row, task: Task) -> bool:
    """Whether the task asks this row. Raises RowError for a row that does not tell its day."""
    if task.ids is not None:
        identity = _column(row, task, "id")
        if identity is None or re.fullmatch(task.ids, str(identity)) is None:
            return False
    if task.window is None:
        return True
    window = parse_window(task.window)
    return window.first <= _day(_column(row, task, "date")) <= window.last


def _column(row: Row, task: Task, ours: str) -> Any:
    value = row.get(ours)
    return row.get(str(task.fields.get(ours, ours))) if value is None else value


def _day(value: Any) -> date:
    """Data sets write days as text, with or without the time, and some readers make dates of them."""
    if isinstance(value, datetime):
        return value.date()
    try:
        return datetime.fromisoformat(str(value)).date()
    except ValueError as error:
        raise RowError(f"has the date {str(value)[:40]!r}: give a day such as 2024-08-01") from error
