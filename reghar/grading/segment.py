"""Which text is graded: the answer segment of a forced or a natural answer (definitions: Grading).

Nothing of a trace is ever graded beside its answer: an earlier box cannot make a later one right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reghar.boxed import closing_brace, last_box
from reghar.grading.outcome import Outcome

FALLBACKS = ("last_number",)
"""What a task may name for natural answers without a box."""

_BLANK = re.compile(r"(?:[\s~${}]++|\\[,;:! ]|\\q?quad)*+")
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """The text to grade, or the outcome where there is nothing to grade. Exactly one of the two is set."""

    answer: str | None = None
    """The content of the box, braces excluded."""
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


def natural_segment(
    text: str,
    thinking: tuple[str, str] | None,
    thinking_open_at_start: bool,
    fallback: str | None = None,
) -> Segment:
    """The answer in a whole response: the last box of the text after the thinking block.

    `thinking` holds the delimiters that open and close the block (None: the model has none) and
    `thinking_open_at_start` is true where the prompt has opened it already. A block that is never
    closed, no box after it, or an empty box: `no_answer`. A last box that is never closed:
    `unterminated`, whatever boxes stand before it. `fallback="last_number"` takes the last number
    where there is no box; only a task's YAML may name it.
    """
    answer_text = _after_thinking(text, thinking, thinking_open_at_start)
    if answer_text is None:
        return _NO_ANSWER
    box = last_box(answer_text)
    if box is not None:
        return _filled(box.content) if box.closed else _UNTERMINATED
    if fallback == "last_number" and (numbers := _NUMBER.findall(answer_text)):
        return Segment(answer=numbers[-1])
    return _NO_ANSWER


def _filled(content: str) -> Segment:
    """The segment with this content; a box that holds only blanks is no answer."""
    return _NO_ANSWER if _BLANK.fullmatch(content) else Segment(answer=content)


def _after_thinking(text: str, thinking: tuple[str, str] | None, open_at_start: bool) -> str | None:
    """The text after the last thinking block; None where a block is open at the end."""
    if thinking is None:
        return text
    opening, closing = thinking
    end = text.rfind(closing)
    if end == -1:
        return None if open_at_start or opening in text else text
    rest = text[end + len(closing) :]
    return None if opening in rest else rest
