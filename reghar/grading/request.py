"""What goes into the grader and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reghar.grading.outcome import Outcome

GRADER_VERSION = "2"
"""Part of the protocol: raised whenever a verdict may change."""

DEFAULT_TOLERANCE = 1e-4
"""Relative difference up to which a rounded number is taken as equal (definitions: Grading)."""

MAX_CHARACTERS = 4096
"""Longest answer that is parsed; the longest gold of the eight tasks has 210 characters."""


class AnswerKind(StrEnum):
    """How a task's answers are compared."""

    INTEGER = "integer"
    """Integers, compared exactly after evaluation (AIME, AMC, GSM8K)."""
    MATH = "math"
    """Any mathematical object: number, expression, tuple, set, interval, matrix, equation, word."""
    CHOICE = "choice"
    """A letter, or the text of the option it stands for (GPQA)."""
    CODE = "code"
    """A program, which passes tests or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeRequest:
    """One answer to grade. Equal requests have equal verdicts."""

    gold: tuple[str, ...]
    """The right answer; several where a problem has several that must all be given, in any order. For
    `code` the tests, as JSON."""
    answer: str
    """The answer segment alone: the content of a box or of a fenced block, nothing of the trace."""
    kind: AnswerKind
    tolerance: float = DEFAULT_TOLERANCE
    """Relative, 0..1. Above the default it says that the golds themselves are rounded: then it also
    holds between two numbers written exactly."""
    choices: tuple[str, ...] = ()
    """For `choice`: the option texts in the order in which the letters A, B, C, ... were given to them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """The outcome for one answer, and why."""

    outcome: Outcome
    answer_parsed: str
    """What was read from the answer; empty where nothing was. At most 200 characters, printable."""
    gold_parsed: str
    """The same for the gold."""
    rule: str
    """The rule that decided, in a few words."""
