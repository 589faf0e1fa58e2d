"""When a response counts as looping and is ended: vLLM's `repetition_detection`, as a user writes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reghar.errors import InputError
from reghar.protocol import RepetitionDetection


def parse_repetition_detection(text: str | None) -> RepetitionDetection | None:
    """`16-512,3`: a pattern of 16 to 512 tokens, 3 times in a row. Raises `InputError`; None for None."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9}),(\d{1,9})", text.replace(" ", ""))
    try:
        if found is None:
            raise ValueError("write MIN-MAX,COUNT")
        least, most, count = map(int, found.groups())
        return RepetitionDetection(min_pattern_size=least, max_pattern_size=most, min_count=count)
    except ValueError as error:
        raise InputError(
            f"--repetition-detection must be such as 16-512,3 (a pattern of 16 to 512 tokens, 3 times in a "
            f"row), not {text!r}: {error}"
        ) from error


def repeats(ids: Sequence[int], rule: RepetitionDetection) -> bool:
    """Whether a response ends by the rule with the last of `ids`: as vLLM's scheduler decides."""
    longest = min(rule.max_pattern_size, len(ids) // rule.min_count)
    for size in range(rule.min_pattern_size, longest + 1):
        tail = list(ids[len(ids) - size * rule.min_count :])
        if tail[size:] == tail[:-size]:
            return True
    return False
