"""The countdown that a model trained on s1's steps writes while it thinks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# s1 (arXiv 2501.19393), step-conditional control: `{k} steps left`, letter for letter.
_ZERO = re.compile(r"(?<![0-9.,])0 steps left")


def countdown_end(ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> int | None:
    """Number of tokens after which the countdown has reached zero steps; None where it never does.

    `ids` are the tokens of the thinking. A step's text may end within a token: that token belongs to it.
    """
    found = _ZERO.search(decode(ids))
    if found is None:
        return None
    # The text of more tokens holds that of fewer, so the shortest prefix with the words is found by halving.
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if _ZERO.search(decode(ids[:middle])):
            high = middle
        else:
            low = middle + 1
    return low
