"""Grading: which text is graded, by which rule, in processes that can be killed.

`grade` is the pure function; `GraderPool` runs it where nothing that a model wrote can do harm.
"""

from reghar.grading.pool import GraderPool
from reghar.grading.request import (
    DEFAULT_TOLERANCE,
    GRADER_VERSION,
    AnswerKind,
    Grade,
    GradeRequest,
)
from reghar.grading.rules import grade
from reghar.grading.segment import (
    FALLBACKS,
    Segment,
    forced_program,
    forced_segment,
    natural_program,
    natural_segment,
)

__all__ = [
    "DEFAULT_TOLERANCE",
    "FALLBACKS",
    "GRADER_VERSION",
    "AnswerKind",
    "Grade",
    "GradeRequest",
    "GraderPool",
    "Segment",
    "forced_program",
    "forced_segment",
    "grade",
    "natural_program",
    "natural_segment",
]
