"""Text from outside (models, tasks, files) made safe to show, and figures made readable.

Nothing that a model or a file name writes may reach a report unescaped (definitions: Grading).
"""

from __future__ import annotations

import re

from reghar.measures.catalogue import Measure
from reghar.terminal import printable, shortened

_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|~$!@^]|(?<=:)/|(?<=www)\.)", re.IGNORECASE)
"""What means something to Markdown, the slash that makes an address and the dot of `www.` included."""


def model_name(model: str) -> str:
    """The model's own name, without its folder or organization, at most 48 characters.

    The middle of a longer one goes: checkpoints of one training differ at the end.
    """
    return shortened(printable(model).rstrip("/").rsplit("/", 1)[-1], 48)


def escaped(text: str) -> str:
    """The text as itself in a Markdown paragraph or table: no markup, HTML, link or formula."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", plain)


def number(value: float | None, unit: str) -> str:
    """A figure as a person reads it: fractions in %, tokens with thousands; a dash for none."""
    if value is None:
        return "–"
    if unit == "fraction":
        return f"{100 * value:.1f}%"
    if abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.1f}" if abs(value) >= 0.05 or value == 0 else f"{value:.2g}"
    return text.replace("-", "−")


def measured(measure: Measure | None) -> str:
    """Value and interval: `1,780 [1,702, 1,861]`, `63.3% [55.8, 70.6]`; an open end is infinite."""
    if measure is None or measure.value is None:
        return "–"
    value = number(measure.value, measure.unit)
    if measure.low is None and measure.high is None:
        return value
    low = "−∞" if measure.low is None else number(measure.low, measure.unit).removesuffix("%")
    high = "∞" if measure.high is None else number(measure.high, measure.unit).removesuffix("%")
    return f"{value} [{low}, {high}]"


def plain(measure: Measure | None) -> str:
    """The value alone."""
    return "–" if measure is None else number(measure.value, measure.unit)
