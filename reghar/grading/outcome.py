"""The verdict on one answer."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """The verdict on one answer. Only `correct` counts as 1 in a curve; all are counted and shown."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    NO_ANSWER = "no_answer"
    """No box in the answer segment, or thinking that never closed."""
    UNTERMINATED = "unterminated"
    """A box that was opened and never closed."""
    GRADER_TIMEOUT = "grader_timeout"
    GRADER_ERROR = "grader_error"
    TRUNCATED = "truncated"
    """A chat server cut the reply at the most tokens: it is not graded."""
    REFUSED = "refused"
    """The model, or a filter before it, would not answer."""
    TESTS_FAILED = "tests_failed"
    """A program that gave another output, or failed its check."""
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    RUNTIME_ERROR = "runtime_error"
    """A program that ended with an error, or wrote without end."""


OUTCOMES: tuple[Outcome, ...] = tuple(Outcome)
"""Outcomes by their int8 code in `TaskOutcomes.outcome`."""
