r"""`\boxed{...}` in text: where a box opens, where the brace that closes it stands.

Braces escaped as `\{` and `\}` do not count, and `\\` is a line break, not an escape.
Everything here is one pass over the text: linear in time for any input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_OPENING = re.compile(r"\\(?:boxed|fbox)\s{0,8}\{")


@dataclass(frozen=True, slots=True)
class Box:
    """One box: `content` is what stands between its braces (to the end of the text if never closed)."""

    start: int
    """Index of the backslash of the opening command."""
    content: str
    closed: bool


def closing_brace(text: str, start: int = 0, depth: int = 1) -> int | None:
    """Index of the brace in `text[start:]` that brings `depth` open braces to zero; None if there is none."""
    for brace in _BRACE.finditer(text, start):
        if brace[0] == "{":
            depth += 1
        elif brace[0] == "}":
            depth -= 1
            if depth == 0:
                return brace.start()
    return None


def find_boxes(text: str) -> Iterator[Box]:
    """Every outermost box of the text, in order; a box inside a box belongs to the outer one's content."""
    position = 0
    while match := _OPENING.search(text, position):
        end = closing_brace(text, match.end())
        if end is None:
            yield Box(match.start(), text[match.end() :], closed=False)
            return
        yield Box(match.start(), text[match.end() : end], closed=True)
        position = end + 1


def last_box(text: str) -> Box | None:
    """The last outermost box of the text; None where there is none."""
    last = None
    for box in find_boxes(text):
        last = box
    return last


def opens_box(text: str) -> bool:
    """True when the text ends inside a box that it opened, as a probe that forces an answer does."""
    last = last_box(text)
    return last is not None and not last.closed
