"""Standard output and error as they are found: closed, full, or of an encoding without our characters."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

_PLAIN = {
    "−": "-",
    "–": "-",
    "─": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "∞": "inf",
    "·": "*",
    "×": "x",
    "±": "+-",
    "≈": "~",
}
"""What stands for our characters where the encoding lacks them; `?` for anything else."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lost), error.end


def prepare() -> None:
    """Makes both streams writable whatever they are: figures lose a minus sign's shape, never the run."""
    codecs.register_error("plainly", _plainly)
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:  # closed by the caller: the exit code still tells
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for good
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")


def abandon(stream: TextIO) -> None:
    """Points a stream that cannot be written at nothing, so that the interpreter's last flush is quiet."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
