"""Lengths of traces, as reasoning models have them on two kinds of benchmark."""

from __future__ import annotations

import math
import random
from typing import Literal

Kind = Literal["aime", "gsm8k"]

LONGEST = 32_768
"""Tokens at which a trace is cut off."""
_MEDIAN_AND_SIGMA = {"aime": (7600, 0.65), "gsm8k": (860, 0.55)}


def draw_lengths(kind: Kind, problems: int, samples: int, seed: int = 1) -> list[tuple[int, int]]:
    """(problem, tokens) of each trace: log-normal, half of the variance between problems.

    `aime` has a mean of 9,000 tokens and reaches 32,768, `gsm8k` a mean of 1,000.
    """
    rng = random.Random(f"{kind}{seed}")
    median, sigma = _MEDIAN_AND_SIGMA[kind]
    part = sigma * math.sqrt(0.5)
    drawn = []
    for problem in range(problems):
        difficulty = rng.gauss(0, part)
        for _ in range(samples):
            tokens = median * math.exp(difficulty + rng.gauss(0, part))
            drawn.append((problem, max(40, min(LONGEST, int(tokens)))))
    return drawn
