"""The task `ladder`: from a start value, a chain of additions and subtractions modulo 10.

Graded from 2 to 24 steps, generated from a seed, with gold answers that are computed. Every step
changes the value, so whoever has not done the last step does not hold the answer by standing still.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_lowercase

MODULUS = 10
"""Number of possible answers: guessing is right once in ten."""

SHORTEST, LONGEST = 2, 24
"""Steps of the easiest and of the hardest problems."""

LABELS = ascii_lowercase[:LONGEST]
"""The name of each step, in order: `(a)`, `(b)`, ... `(x)`."""

TEST_SEED = 2506
TEST_PROBLEMS = 200


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation of a ladder."""

    label: str
    """One letter, from `LABELS`."""
    sign: str
    """`+` or `-`."""
    operand: int
    """1..9: never 0, so that every step changes the value."""
    last: bool = False
    """Whether the ladder ends with it: the line then ends in a full stop, else in a comma."""

    def __str__(self) -> str:
        return f"({self.label}) {self.sign}{self.operand}{'.' if self.last else ','}"

    def after(self, value: int) -> int:
        """The value (0..9) that this step makes of `value`."""
        return (value + self.operand if self.sign == "+" else value - self.operand) % MODULUS


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """One problem."""

    start: int
    """0..9."""
    steps: tuple[Step, ...]
    """`SHORTEST`..`LONGEST` of them."""

    @property
    def problem(self) -> str:
        """The question as the model reads it."""
        lines = "\n".join(map(str, self.steps))
        return f"Climb the ladder from {self.start}, counting modulo {MODULUS}:\n{lines}\nWhere do you stand?"

    @property
    def answer(self) -> int:
        """The value after the last step, 0..9."""
        value = self.start
        for step in self.steps:
            value = step.after(value)
        return value


def draw(generator: random.Random, steps: int, first: int = 0) -> Ladder:
    """One random ladder of `steps` steps (`SHORTEST`..`LONGEST`), labelled from `LABELS[first]` on."""
    labels = LABELS[first : first + steps]
    return Ladder(
        start=generator.randrange(MODULUS),
        steps=tuple(random_step(generator, label, last=label == labels[-1]) for label in labels),
    )


def random_step(generator: random.Random, label: str, *, last: bool) -> Step:
    """One random step, each of the 18 operations as likely as any other."""
    return Step(label=label, sign=generator.choice("+-"), operand=generator.randrange(1, MODULUS), last=last)


def graded(seed: int, count: int, *, apart_from: frozenset[Ladder] = frozenset()) -> tuple[Ladder, ...]:
    """`count` distinct ladders, as many of each length as `count` allows, none of `apart_from`."""
    generator = random.Random(seed)
    seen = set(apart_from)
    ladders: list[Ladder] = []
    while len(ladders) < count:
        ladder = draw(generator, SHORTEST + len(ladders) % (LONGEST - SHORTEST + 1))
        if ladder not in seen:
            seen.add(ladder)
            ladders.append(ladder)
    return tuple(ladders)


def task_ladders() -> tuple[Ladder, ...]:
    """The task's `TEST_PROBLEMS` problems, the same on every machine."""
    return graded(TEST_SEED, TEST_PROBLEMS)


def rows() -> list[dict[str, str | int]]:
    """The task as a table: `id`, `problem`, `answer` (a digit) and `steps` (their number)."""
    return [
        {
            "id": f"ladder-{number:03d}",
            "problem": ladder.problem,
            "answer": str(ladder.answer),
            "steps": len(ladder.steps),
        }
        for number, ladder in enumerate(task_ladders())
    ]


def dataset(**_metadata: object) -> dict[str, list[dict[str, str | int]]]:
    """`custom_dataset` of `tasks/ladder.yaml`: the rows under lm-eval's split `test`."""
    return {"test": rows()}


def unseen(seed: int, forbidden: frozenset[Ladder]) -> Iterator[Ladder]:
    """Endless random ladders of all lengths, none of `forbidden`: what the models are trained on."""
    generator = random.Random(seed)
    while True:
        ladder = draw(generator, generator.randint(SHORTEST, LONGEST))
        if ladder not in forbidden:
            yield ladder


def rungs(seed: int, most: int = 6) -> Iterator[Ladder]:
    """Endless short ladders that may begin at any label: the first lesson, in which all labels occur."""
    generator = random.Random(seed)
    while True:
        steps = generator.randint(SHORTEST, most)
        yield draw(generator, steps, first=generator.randint(0, LONGEST - steps))
