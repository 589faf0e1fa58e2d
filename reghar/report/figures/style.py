"""How every figure looks: one place. Sizes are inches on paper, so that 8 pt text prints as 8 pt.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers; no figure relies on
colour alone where lines could be confused: line styles differ too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reghar.grading.outcome import Outcome

STYLE_FILE = Path(__file__).with_name("reghar.mplstyle")
"""Fonts, lines and file settings, as matplotlib reads them."""

COLUMN_WIDTH = 3.4
"""Inches: one column of a two-column page."""
PANEL_HEIGHT = 2.3
"""Inches."""

CURVE = "#0072B2"
FRONTIER = "#000000"
REFERENCE = "#555555"
"""A line that is no measurement: what was asked for."""
BELOW = "#E69F00"
"""The gap where the curve is below the frontier."""
BEYOND = "#009E73"
"""The gap where the curve is beyond the frontier."""

MODEL_STYLES: tuple[tuple[str, Any], ...] = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (5, 1.5))),
    ("#009E73", (0, (1.2, 1.2))),
    ("#CC79A7", (0, (5, 1.5, 1.2, 1.5))),
    ("#56B4E9", "-"),
    ("#E69F00", (0, (5, 1.5))),
)
"""Colour and line style of each model in an overlay, used in turn."""

OUTCOME_COLOURS: dict[str, str] = {
    Outcome.CORRECT: "#009E73",
    Outcome.INCORRECT: "#D55E00",
    Outcome.NO_ANSWER: "#BBBBBB",
    Outcome.UNTERMINATED: "#F0E442",
    Outcome.GRADER_TIMEOUT: "#56B4E9",
    Outcome.GRADER_ERROR: "#CC79A7",
    Outcome.TRUNCATED: "#0072B2",
    Outcome.REFUSED: "#000000",
    Outcome.TESTS_FAILED: "#D55E00",
    Outcome.TIME_LIMIT: "#56B4E9",
    Outcome.MEMORY_LIMIT: "#CC79A7",
    Outcome.RUNTIME_ERROR: "#E69F00",
    "missing": "#FFFFFF",
}

HEAT = "cividis"
"""A colour map of even lightness that colour-blind readers see as others do."""


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside have the house style; the caller's own settings come back afterwards."""
    from matplotlib import style

    with style.context(STYLE_FILE):
        yield
