"""Which text is graded: the answer segment of a forced or a natural answer (definitions: Grading).

Nothing of a trace is ever graded beside its answer: an earlier box cannot make a later one right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reghar.boxed import Box, closing_brace, find_boxes
from reghar.fenced import UnclosedBlockError, closing_fence, last_fenced_block
from reghar.grading.outcome import Outcome
from reghar.grading.request import MAX_CHARACTERS

FALLBACKS = ("last_number",)
"""What a task may name for natural answers without a box."""

_BLANK = re.compile(r"(?:[\s~${}]++|\\[,;:! ]|\\q?quad)*+")
_SENTENCE_END = re.compile(r"[.!?](?:\s|\*|\$|$)|\n\s*\n")
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """The text to grade, or the outcome where there is nothing to grade. Exactly one of the two is set."""

    answer: str | None = None
    """The content of the box, braces excluded, or of the fenced block."""
    outcome: Outcome | None = None
    """`no_answer` or `unterminated`."""


_NO_ANSWER = Segment(outcome=Outcome.NO_ANSWER)
_UNTERMINATED = Segment(outcome=Outcome.UNTERMINATED)


def forced_segment(completion: str) -> Segment:
    """The answer in the text that a model wrote after a probe that ends with an open box.

    `completion` starts inside the box; the segment ends at the brace that closes it. Never closed:
    `unterminated`. Nothing but blanks in it: `no_answer`.
    """
    end = closing_brace(completion)
    return _UNTERMINATED if end is None else _filled(completion[:end])


def natural_segment(answer_text: str | None, *, fallback: str | None = None, golds: int = 1) -> Segment:
    """The answer in the text after a response's thinking block: its last box.

    None is the text of a response that never closed the block. That, no box, or an empty box:
    `no_answer`. A last box that is never closed: `unterminated`, whatever boxes stand before it.
    `fallback="last_number"` takes the last number of the last 4,096 characters where there is no box;
    only a task's YAML may name it.

    Where the gold holds several values (`golds` of them) and the last sentence with a box holds exactly
    as many boxes, these are one answer together: `\\boxed{-2}` and `\\boxed{1}`.
    """
    if answer_text is None:
        return _NO_ANSWER
    found = list(find_boxes(answer_text))
    if found and not found[-1].closed:
        return _UNTERMINATED
    if found:
        together = _last_sentence(answer_text, found)
        return _filled(
            ", ".join(box.content for box in together) if len(together) == golds else found[-1].content
        )
    if fallback == "last_number" and (numbers := _NUMBER.findall(answer_text[-MAX_CHARACTERS:])):
        return Segment(answer=numbers[-1])
    return _NO_ANSWER


def forced_program(completion: str, fence: str) -> Segment:
    """The program that a model wrote after a probe that ends inside a block which `fence` opened.

    Never closed: `unterminated`. Nothing but blanks in it: `no_answer`.
    """
    closing = closing_fence(completion, fence)
    return _UNTERMINATED if closing is None else _filled_program(completion[: closing[0]])


def natural_program(answer_text: str | None) -> Segment:
    """The program in the text after a response's thinking block: its last fenced block.

    None is the text of a response that never closed the thinking. That, no block, or an empty block:
    `no_answer`. A last block that is never closed: `unterminated`, whatever blocks stand before it.
    """
    try:
        source = None if answer_text is None else last_fenced_block(answer_text)
    except UnclosedBlockError:
        return _UNTERMINATED
    return _NO_ANSWER if source is None else _filled_program(source)


def _filled_program(source: str) -> Segment:
    return Segment(answer=source) if source.strip() else _NO_ANSWER


def _last_sentence(text: str, found: Sequence[Box]) -> Sequence[Box]:
    """The boxes of the last sentence that holds one: nothing between them ends a sentence."""
    first = len(found) - 1
    while first > 0:
        between = text[found[first - 1].start : found[first].start]
        if _SENTENCE_END.search(between.replace(found[first - 1].content, "", 1)):
            break
        first -= 1
    return found[first:]


def _filled(content: str) -> Segment:
    """The segment with this content; a box that holds only blanks is no answer."""
    return _NO_ANSWER if _BLANK.fullmatch(content) else Segment(answer=content)
