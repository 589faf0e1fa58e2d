"""Markdown pages from Jinja templates: every expression is escaped unless it is a figure of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reghar.report.text import escaped, model_name

if TYPE_CHECKING:
    from jinja2 import Environment


CAPTIONS = {
    "curves": "Accuracy by budget",
    "curves-log2": "Accuracy by budget, log2 axis",
    "outcomes": "Outcomes by budget",
    "lengths": "Response lengths",
    "problems": "Accuracy of every problem by budget",
    "control": "Accuracy by thinking tokens used",
    "requested": "Thinking tokens asked for and used",
    "effort": "Accuracy by reasoning effort",
    "policies": "Accuracy over mean tokens, by stopping policy",
    "tokens": "Where the tokens went",
    "scatter": "Accuracy by mean response length",
}
"""What each picture shows, by the name of its file."""


def render(template: str, **content: Any) -> str:
    """A page of the folder `templates`; at most one blank line stands between two paragraphs."""
    page = _environment().get_template(template).render(captions=CAPTIONS, **content)
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=PackageLoader("reghar.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        {
            "cells": _cells,
            "ruler": _ruler,
            "model_name": model_name,
            "verdict": _verdict,
        }
    )
    return environment


def _finalize(value: Any) -> Markup:
    """Escaped for Markdown, and so marked that it is not escaped for HTML again."""
    return value if isinstance(value, Markup) else Markup(escaped(str(value)))  # noqa: S704 - it is escaped


def _cells(row: Iterable[Any]) -> Markup:
    return Markup(" | ").join(_finalize(cell) for cell in row)


def _ruler(header: Sequence[str]) -> Markup:
    """First column to the left, figures to the right."""
    return Markup("|:--|") + Markup("--:|") * (len(header) - 1)


def _verdict(report: Any) -> str:
    from reghar.report.verdict import verdict

    return verdict(report)
