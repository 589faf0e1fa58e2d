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

P_WAIT, P_AGAIN, P_SLIP = 0.55, 0.45, 0.4
"""Wanderer: to doubt the answer; to doubt once more; to lose it on the way (off by one)."""

DOUBTS_WITHOUT_END = 3
"""The wanderer that doubts so often never stops."""


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


def wanderer(ladder: Ladder, generator: random.Random, longest: int = 60) -> list[Piece]:
    """As terse, but it may doubt what it has, do its last steps again, lose the value, or never end.

    `longest`: number of doubts after which an endless response is cut, without an answer.
    """
    pieces = [Piece(f"{THINK}\n", ladder.start)]
    values = [ladder.start]
    for step in ladder.steps:
        pieces += line(step, values[-1])
        values.append(step.after(values[-1]))
    doubts = 0
    while generator.random() < (P_AGAIN if doubts else P_WAIT):
        doubts += 1
        pieces.append(Piece(AGAIN, pieces[-1].value))
        last = generator.randint(1, 2)
        slip = generator.random() < P_SLIP
        value = values[-1 - last]
        for step in ladder.steps[-last:]:
            error = int(slip and step is ladder.steps[-1])
            pieces += line(step, value, error=error, held=pieces[-1].value)
            value = pieces[-1].value
        if doubts == DOUBTS_WITHOUT_END:
            loop = [
                Piece(AGAIN, value),
                *line(ladder.steps[-1], values[-2], error=(value - values[-1]) % MODULUS, held=value),
            ]
            return pieces + loop * (longest - doubts)
    return [*pieces, *_answer(pieces[-1].value)]


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
