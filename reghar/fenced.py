"""Fenced blocks of Markdown in text: where one opens, and the line that closes it.

Everything here is one pass over the text: linear in time for any input.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class UnclosedBlockError(Exception):
    """The last fenced block was never closed."""

    def __init__(self, fence: str) -> None:
        super().__init__(f"a block that {fence} opened was never closed")
        self.fence = fence


def last_fenced_block(text: str) -> str | None:
    """The content of the last fenced block; None where there is none. Raises `UnclosedBlockError`."""
    found: str | None = None
    fence: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        if fence is None:
            fence, lines = _opened_by(line), []
        elif _closes(line, fence):
            found, fence = "\n".join([*lines, ""]), None
        else:
            lines.append(line)
    if fence is not None:
        raise UnclosedBlockError(fence)
    return found


def open_fence(text: str) -> str | None:
    """The fence that a text ends inside of, as a probe that forces a program does; None for none."""
    try:
        last_fenced_block(text)
    except UnclosedBlockError as unclosed:
        return unclosed.fence
    return None


def closing_fence(text: str, fence: str, *, last: bool = True) -> tuple[int, int] | None:
    """Where the line begins and ends that closes the block which `text` begins inside of; None while open.

    Unless the text is its `last`, a line counts only with its line break: more of it may follow.
    """
    start = 0
    while (end := text.find("\n", start)) >= 0:
        if _closes(text[start:end], fence):
            return start, end
        start = end + 1
    return (start, len(text)) if last and _closes(text[start:], fence) else None


def _opened_by(line: str) -> str | None:
    match = _FENCE.fullmatch(line.rstrip("\r"))
    if match is None or (match[1][0] == "`" and "`" in match[2]):
        return None
    return match[1]


def _closes(line: str, fence: str) -> bool:
    match = _FENCE.fullmatch(line.rstrip("\r"))
    return match is not None and match[1].startswith(fence) and not match[2].strip()
