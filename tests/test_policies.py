"""Stopping policies by hand, and the cross-fitted saving."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of

from reghar.errors import InputError
from reghar.measures.policies import (
    Answers,
    PolicyOutcome,
    confident,
    fixed,
    points_of,
    saving_of,
    settled,
    stable,
    unbounded,
)
from reghar.measures.scaling import ABSTAINS, RIGHT

BUDGETS = [0, 100, 200, 400, 800]
A, NONE = 1, ABSTAINS


def answers_of(
    groups: list[list[int]], lengths: list[int], *, confidence: list[list[float]] | None = None
) -> Answers:
    """One sample of each problem; every forced answer takes 10 tokens."""
    grid = np.array(groups)[:, None, :]
    outcomes = outcomes_of(grid == RIGHT, BUDGETS, lengths=np.array(lengths)[:, None])
    over = np.array(lengths)[:, None, None] <= np.array(BUDGETS)
    return Answers(
        outcomes=outcomes,
        groups=grid,
        tokens=np.where(over, 0, 10),
        confidence=None if confidence is None else np.array(confidence)[:, None, :],
    )


THREE = answers_of(
    [
        [A, RIGHT, RIGHT, RIGHT, RIGHT],  # settles at 100, stable(2) at 200
        [NONE, NONE, A, A, RIGHT],  # no answer never equals no answer; stable(2) stops wrong at 400
        [A, 2, RIGHT, RIGHT, RIGHT],  # ends itself at 150
    ],
    [1000, 1000, 150],
)


def read(stopped: PolicyOutcome) -> list[tuple[float, float]]:
    return [
        (float(tokens), float(right))
        for tokens, right in zip(stopped.tokens[:, 0], stopped.right[:, 0], strict=True)
    ]


def test_policies_by_hand() -> None:
    assert read(fixed(THREE, 200)) == [(210, 1), (210, 0), (150, 1)]
    assert read(fixed(THREE, 0)) == [(10, 0), (10, 0), (10, 0)]
    # Asked at 0, 100, 200; at 0 to 400; the third at 0 and 100, then it ended.
    assert read(stable(THREE, 2)) == [(230, 1), (440, 0), (170, 1)]
    assert read(stable(THREE, 3)) == [(440, 1), (850, 1), (170, 1)]
    assert read(stable(THREE, 2, start=200)) == [(420, 1), (420, 0), (150, 1)]
    assert read(settled(THREE)) == [(110, 1), (810, 1), (150, 1)]
    assert read(unbounded(THREE)) == [(1000, 1), (1000, 1), (150, 1)]


def test_a_trace_that_ended_pays_for_its_answer_where_budgets_count_thinking() -> None:
    thinking = replace(
        THREE.outcomes,
        budget_counts="thinking",
        length=THREE.outcomes.length + 40,
        thinking_length=THREE.outcomes.length,
    )
    answers = replace(THREE, outcomes=thinking)
    assert read(fixed(answers, 200)) == [(210, 1), (210, 0), (190, 1)]
    assert read(unbounded(answers)) == [(1040, 1), (1040, 1), (190, 1)]


def test_confidence_stops_where_it_is_reached() -> None:
    known = answers_of(
        [[A, RIGHT, RIGHT, RIGHT, RIGHT], [A, A, RIGHT, RIGHT, RIGHT]],
        [1000, 1000],
        confidence=[[-2, -0.1, -0.1, 0, 0], [math.nan, -1, -0.5, -0.3, -0.3]],
    )
    assert read(confident(known, -0.1)) == [(120, 1), (850, 1)]
    assert read(confident(known, -0.5)) == [(120, 1), (230, 1)]
    with pytest.raises(InputError, match="log-probabilities, which this run does not hold"):
        confident(THREE, -0.1)


def test_points_are_means_with_intervals() -> None:
    (point,) = points_of([stable(THREE, 2)], task="aime24", replicates=200)
    assert (point.tokens, point.accuracy) == (280, pytest.approx(2 / 3))
    assert point.low <= point.accuracy <= point.high


def many(seed: int = 0) -> Answers:
    """800 problems right from a drawn budget on, with a wrong answer that wanders before."""
    generator = np.random.default_rng(seed)
    start = generator.integers(1, 4, size=800)
    groups = [
        [RIGHT if column >= at else 2 + column for column in range(len(BUDGETS))] for at in start.tolist()
    ]
    return answers_of(groups, [1000] * 800)


def test_a_policy_that_never_errs_saves_what_it_saves() -> None:
    answers = many()
    found = saving_of(
        [stable(answers, 2), stable(answers, 3)], unbounded(answers), task="aime24", replicates=300
    )
    assert found.chosen == ("stable(2)", "stable(2)")
    assert found.difference == 0
    assert found.tokens_saved == pytest.approx(1000 - stable(answers, 2).tokens.mean())
    assert found.tokens_low < found.tokens_saved < found.tokens_high
    assert found.share_saved == pytest.approx(found.tokens_saved / 1000)


def test_what_is_worse_is_not_chosen() -> None:
    answers = many()
    found = saving_of([fixed(answers, 0)], unbounded(answers), task="aime24", replicates=300)
    assert found.chosen == ("unbounded", "unbounded")
    assert (found.tokens_saved, found.difference) == (0, 0)


def test_the_choice_is_read_on_the_other_half() -> None:
    # The fixed budget is right on even problems alone, so it is chosen there and read on the odd ones.
    groups = [[RIGHT] * 5 if problem % 2 == 0 else [A, A, A, A, RIGHT] for problem in range(800)]
    answers = answers_of(groups, [1000] * 800)
    found = saving_of([fixed(answers, 100)], unbounded(answers), task="aime24", replicates=300)
    assert found.chosen == ("fixed(100)", "unbounded")
    assert found.difference == -0.5


def test_what_is_no_policy_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="no such budget"):
        fixed(THREE, 150)
    with pytest.raises(InputError, match="from 2 to 5"):
        stable(THREE, 1)
    with pytest.raises(InputError, match="from 2 to 3"):
        stable(THREE, 4, start=200)
    with pytest.raises(InputError, match="only 0"):
        Answers(
            outcomes=replace(outcomes_of([[[1]]], [0]), task="aime24"),
            groups=np.zeros((1, 1, 1), dtype=int),
            tokens=np.zeros((1, 1, 1), dtype=int),
        )
    with pytest.raises(InputError, match="cannot be halved"):
        saving_of([fixed(THREE, 100)], unbounded(THREE), task="aime24")
