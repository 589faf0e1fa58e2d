"""`doc_to_text` and `doc_to_target` read as lm-eval reads them: a function, a column or a template."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from reghar.errors import InputError
from reghar.tasks.config import FunctionReference
from reghar.tasks.documents import RowError
from reghar.tasks.rows import Row


def compile_rule(rule: str | FunctionReference) -> Callable[[Row], object]:
    """The rule as a function of a row. Raises InputError where it names no function or is no template.

    The function raises RowError for a row that lacks what the rule asks for.
    """
    if isinstance(rule, FunctionReference):
        return rule.resolve()
    if re.fullmatch(r"\w+", rule):
        return lambda row: _column(row, rule)
    template = _parse(rule)
    return lambda row: _render(template, row)


def literal_list(value: object) -> object:
    """A target that renders a Python list means several answers, as in lm-eval; all else stays itself."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            return ast.literal_eval(value)
        except (SyntaxError, ValueError):
            return value
    return value


def _column(row: Row, name: str) -> object:
    if name not in row:
        raise _missing(name, row)
    return row[name]


def _parse(text: str) -> Any:
    from jinja2 import Environment, StrictUndefined, TemplateError

    # Prompts are plain text, never a web page: escaping would change them.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.filters["regex_replace"] = _regex_replace
    try:
        return environment.from_string(text)
    except TemplateError as error:
        raise InputError(f"the template {text[:60]!r} is broken: {error}") from error


def _regex_replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    """The one filter that lm-eval adds to Jinja."""
    return re.sub(pattern, replacement, text, count=count)


def _render(template: Any, row: Row) -> str:
    from jinja2 import TemplateError, UndefinedError

    try:
        return str(template.render(**{key: _as_text(value) for key, value in row.items()}))
    except UndefinedError as error:
        name = re.fullmatch(r"'(\w+)' is undefined", str(error))
        raise (_missing(name[1], row) if name else RowError(f"does not fit the template: {error}")) from error
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise RowError(f"does not fit the template: {error}") from error


def _as_text(value: object) -> object:
    """Numbers as text: a file of one's own may hold them where the data set has text to split and strip."""
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return str(value) if type(value) in (int, float) else value


def _missing(name: str, row: Row) -> RowError:
    name = "answer" if name == "gold" else name
    columns = ", ".join(column for column in row if column != "gold")
    return RowError(f"has no {name!r}; it has {columns} (metadata.fields can name the column)")
