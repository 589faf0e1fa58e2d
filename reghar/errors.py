"""The errors a user can cause or meet, and the exit code that each one ends the command with.

Every message is one line: what was wrong, the value, the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class RegharError(Exception):
    """Base of every error that is shown as one line instead of a traceback."""

    exit_code = 2


class InputError(RegharError):
    """Bad input, or two things that must not be compared (exit code 2)."""

    exit_code = 2


class EngineError(RegharError):
    """The engine could not start or died; what was finished is stored (exit code 3)."""

    exit_code = 3


class StorageError(RegharError):
    """The run's folder could not be written, such as a full disk; what was stored stays (exit code 3)."""

    exit_code = 3


class TrackerError(RegharError):
    """An experiment tracker did not take a report; the report itself is stored (exit code 3)."""

    exit_code = 3


class RunInterruptedError(RegharError):
    """The user stopped the run; what was finished is stored (exit code 130)."""

    exit_code = 130


def not_json(error: Exception) -> str:
    """Why a file's text is not JSON, in words without what is in the file."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror or error}"
    return f"it is not JSON: {error}"


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a file's content, as one line: `sampling.top_p: ..., not 'x'`."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"it lacks {place}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] != "value_error":
        message += f", not {ascii(first['input'])[:60]}"
    return f"{place}: {message}" if place else message
