"""Which grader gave a verdict: part of the protocol."""

from __future__ import annotations


def grader_version() -> str:
    """Version of the grading rules and of the library that does the mathematics."""
    from importlib.metadata import version

    from reghar.grading import GRADER_VERSION

    return f"{GRADER_VERSION} (math-verify {version('math-verify')})"
