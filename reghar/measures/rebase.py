"""REBASE: how many children each node of a tree search gets.

Source: Wu et al., "Inference Scaling Laws" (arXiv 2408.00724), "reward balanced search".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from reghar.errors import InputError

TEMPERATURE = 0.2
_SLACK = 1e-9
"""What rounding may add to a whole number before it counts as more."""


def rebase_allocation(scores: Sequence[float], width: int, temperature: float = TEMPERATURE) -> list[int]:
    """Children of every node, in the order of `scores`; their sum is `width` exactly.

    `scores` are rewards of the nodes, any finite numbers; `width` >= 0 is what is to be shared out. With
    e = softmax(scores / temperature), nodes take their turns in decreasing order, the earlier first
    where scores are equal: each gets the ceiling of its share of what is left. Raises InputError for
    no nodes, a score that is not finite, a negative width, or a temperature that is not above 0.
    """
    if not scores or not all(map(math.isfinite, scores)):
        raise InputError(f"REBASE needs finite scores of at least one node, not {list(scores)!r:.80}")
    if width < 0:
        raise InputError(f"REBASE's width is {width}: give at least 0")
    if not 0 < temperature < math.inf:
        raise InputError(f"REBASE's temperature is {temperature}: give a number above 0")
    best = max(scores)
    weights = [math.exp((score - best) / temperature) for score in scores]
    order = sorted(range(len(scores)), key=lambda node: -scores[node])
    children = [0] * len(scores)
    left = width
    for turn, node in enumerate(order):
        if left == 0:
            break
        # Summed anew instead of subtracted: rounding must leave the last node just what is left.
        rest = math.fsum(weights[other] for other in order[turn:])
        share = weights[node] / rest if rest > 0 else 1.0
        children[node] = min(left, math.ceil(left * share - _SLACK))
        left -= children[node]
    return children
