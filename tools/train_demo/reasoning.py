r"""Three ways to reason about a ladder: the texts that the demo's models are trained to write.

A response is a list of pieces, each with the value that is reached once the piece is written: a
model that is cut off there and asked for its answer has nothing better to say than that value. It
is always the digit that was written last: where a check names another value, it does so in a token
of its own (` =2`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from reghar.demo.ladder import MODULUS, Ladder, Step

THINK, END_THINK = "<think>", "</think>"

ARROW = " -> "
"""Stands before the result of every step, and nowhere else."""

AGAIN = "Wait, let me check.\n"
"""What the wanderer writes instead of ending its thinking."""

CHECKS, SLIPS, ENDLESS = frozenset({2, 5}), frozenset({0, 4, 7}), frozenset({9})
"""Answers at which the wanderer goes on although it has them: to check once, to lose the answer (off by
one), to check for ever. By the answer and not by chance, so that every training ends in the same model."""


class Piece(NamedTuple):
    """A stretch of a response, made of whole tokens."""

    text: str
    value: int
    """The value reached once the text is written, 0..9."""


def terse(ladder: Ladder, _: random.Random) -> list[Piece]:
    """One short line a step, then the answer: 7 tokens a step."""
    pieces = [Piece(f"{THINK}\n", ladder.start)]
    for step in ladder.steps:
        pieces += line(step, pieces[-1].value)
    return [*pieces, *_answer(pieces[-1].value)]


def verbose(ladder: Ladder, _: random.Random) -> list[Piece]:
    """Every line is followed by its check, which undoes the step: 17 tokens a step."""
    pieces = [Piece(f"{THINK}\n", ladder.start)]
    for step in ladder.steps:
        before = pieces[-1].value
        after = step.after(before)
        undo = "-" if step.sign == "+" else "+"
        pieces += line(step, before)
        pieces.append(Piece(f"Check: {after} {undo}{step.operand} ={before}. Keep {after}\n", after))
    return [*pieces, *_answer(pieces[-1].value)]


def wanderer(ladder: Ladder, _: random.Random, longest: int = 30) -> list[Piece]:
    """As terse, but it may doubt what it has, do its last steps again, lose the value, or never end.

    `longest`: number of doubts after which an endless response is cut, without an answer.
    """
    pieces = [Piece(f"{THINK}\n", ladder.start)]
    before_last = ladder.start
    for step in ladder.steps:
        if step is ladder.steps[-2]:
            before_last = pieces[-1].value
        pieces += line(step, pieces[-1].value)
    answer = pieces[-1].value
    endless = answer in ENDLESS
    doubts = longest if endless else int(answer in CHECKS | SLIPS)
    for _doubt in range(doubts):
        pieces.append(Piece(AGAIN, pieces[-1].value))
        value = before_last
        for step in ladder.steps[-2:]:
            error = int(answer in SLIPS and step is ladder.steps[-1])
            pieces += line(step, value, error=error, held=pieces[-1].value)
            value = pieces[-1].value
    return pieces if endless else [*pieces, *_answer(pieces[-1].value)]


REASONERS: dict[str, Callable[[Ladder, random.Random], list[Piece]]] = {
    "terse": terse,
    "verbose": verbose,
    "wanderer": wanderer,
}


def value_reached(tokens: Sequence[str], ladder: Ladder) -> int:
    """The value (0..9) of a response cut after these tokens: the last digit written, else the start."""
    return next((int(token) for token in reversed(tokens) if token.isdigit()), ladder.start)


def last_step_token(tokens: Sequence[str], ladder: Ladder) -> int | None:
    """Number of tokens after which the response has done the ladder's last step; None if it never does.

    `tokens`: the response's tokens as text, one string each.
    """
    results = [
        position + 1
        for position, token in enumerate(tokens)
        if position and tokens[position - 1] == ARROW and token.isdigit()
    ]
    return results[len(ladder.steps) - 1] if len(results) >= len(ladder.steps) else None


def line(step: Step, before: int, *, error: int = 0, held: int | None = None) -> list[Piece]:
    """One step as all three write it: what is to be done, the result, the end of the line.

    `held`: the value reached so far, where it is not `before` (a step done again).
    """
    after = (step.after(before) + error) % MODULUS
    return [
        Piece(f"{step} ", before if held is None else held),
        Piece(f"{before}{ARROW}", before),
        Piece(str(after), after),
        Piece("\n", after),
    ]


def _answer(value: int) -> list[Piece]:
    return [Piece(f"{END_THINK}\n\nThe answer is \\boxed{{{value}}}.", value)]
