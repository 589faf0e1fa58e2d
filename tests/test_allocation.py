"""Where tokens went, by hand, and the oracle allocation with its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from hypothesis import given, settings
from hypothesis import strategies as st

from reghar.errors import InputError
from reghar.measures.allocation import allocation_of
from reghar.measures.oracle import Curves, Oracle, concave_hull, curves_of, regret_of

BUDGETS = [0, 100, 200, 400]


def test_where_tokens_went_by_hand() -> None:
    right = [
        [[0, 1, 1, 1], [0, 0, 0, 1]],  # settled at 100 and 400
        [[1, 1, 0, 0], [0, 0, 0, 0]],  # harmed; never right
    ]
    found = allocation_of(outcomes_of(right, BUDGETS, lengths=[[300, 350], [400, 250]]))
    assert found.overthinking_tax.value == (200 + 0) / 2
    assert found.overthinking_share.value == 200 / 1300
    assert found.futility_waste.value == 250
    assert found.futility_share.value == 250 / 1300
    assert found.useful_share == pytest.approx(850 / 1300)
    assert [one.value for one in found.starvation] == [0.5, 0.25, 0.25, 0]
    assert [one.value for one in found.harm] == [0.25, 0.25, 0, 0]


def test_figures_that_nothing_has() -> None:
    found = allocation_of(outcomes_of([[[0, 0, 0, 0]], [[0, 0, 0, 0]]], BUDGETS))
    assert math.isnan(found.overthinking_tax.value)
    assert (found.overthinking_share.value, found.futility_share.value) == (0, 1)


def test_intervals_hold_their_figures() -> None:
    found = allocation_of(random_outcomes(30, 4, BUDGETS), replicates=500)
    figures = [found.overthinking_tax, found.futility_waste, found.overthinking_share, found.futility_share]
    for figure in [*figures, *found.starvation, *found.harm]:
        assert figure.low <= figure.value <= figure.high
    assert found.futility_waste.low < found.futility_waste.high


# Three problems: accuracy over mean tokens.
#   easy:  0 at 0, 1 at 100, then flat          hull 0 -> 100 (0.01 a token), then flat
#   slow:  0 at 0, 0 at 100, 0 at 200, 1 at 400 hull 0 -> 400 (0.0025)
#   lost:  0 everywhere                         flat
THREE = Curves(
    tokens=np.array([[0, 100, 200, 400]] * 3, dtype=float),
    accuracy=np.array([[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=float),
)


def test_oracle_of_three_problems_by_hand() -> None:
    oracle = Oracle(THREE, THREE)
    tokens, accuracy = oracle.path(np.ones((1, 3)))
    # The easy problem's 100 tokens first, then the slow one's 400; what gains nothing comes last.
    np.testing.assert_allclose(tokens[0, :3], [0, 100 / 3, 500 / 3])
    np.testing.assert_allclose(accuracy[0, :3], [0, 1 / 3, 2 / 3])
    assert tokens[0, -1] == pytest.approx(400)
    # One budget: 1/3 right for 100 and 200 tokens, which the oracle has for 33; 2/3 for 400, against 167.
    np.testing.assert_allclose(
        oracle.regret(np.ones((1, 3)))[0], [0, 100 - 100 / 3, 200 - 100 / 3, 400 - 500 / 3]
    )
    # With 100 tokens on average: the easy one, and 200 of the 400 tokens of the slow one.
    np.testing.assert_allclose(oracle.accuracy_at_budgets(), [0, 1.5 / 3, 2 / 3, 2 / 3])


def test_an_oracle_does_not_spend_where_accuracy_falls() -> None:
    falling = Curves(tokens=THREE.tokens[:1], accuracy=np.array([[0.2, 0.8, 0.5, 0.1]]))
    np.testing.assert_allclose(Oracle(falling, falling).accuracy_at_budgets(), [0.2, 0.8, 0.8, 0.8])


def test_weights_are_repeated_problems() -> None:
    twice = Curves(tokens=THREE.tokens[[0, 0, 1]], accuracy=THREE.accuracy[[0, 0, 1]])
    np.testing.assert_allclose(
        Oracle(THREE, THREE).regret(np.array([[2.0, 1.0, 0.0]])),
        Oracle(twice, twice).regret(np.ones((1, 3))),
    )


def test_regret_of_samples_that_agree_is_that_of_the_table() -> None:
    right = np.repeat(THREE.accuracy[:, None, :], 4, axis=1)
    found = regret_of(outcomes_of(right, BUDGETS, lengths=np.full((3, 4), 400)), replicates=200)
    np.testing.assert_allclose(
        [one.tokens for one in found], [0, 200 / 3, 500 / 3, 700 / 3], rtol=1e-6, atol=1e-6
    )


def test_one_problem_is_what_its_hull_says() -> None:
    # Accuracy 0, 0, 0.5, 1 at 0, 100, 200, 400: the chord to (200, 0.5) and (400, 1) is one line.
    right = [[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1]]]
    found = regret_of(outcomes_of(right, BUDGETS, lengths=[[400] * 4]))
    np.testing.assert_allclose([one.tokens for one in found], [0, 100, 0, 0], atol=1e-6)
    assert math.isnan(found[0].low)


@pytest.mark.parametrize(
    ("accuracy", "hull"),
    [
        ([0, 1, 1, 1], [0, 1, 3]),
        ([0, 0, 0, 1], [0, 3]),
        ([0, 1, 0, 0.5], [0, 1, 3]),
        ([1, 0, 0, 0], [0, 3]),
        ([0, 0.5, 0.75, 0.8], [0, 1, 2, 3]),
        ([0, 0.25, 0.5, 1], [0, 3]),
    ],
)
def test_hull(accuracy: list[float], hull: list[int]) -> None:
    assert concave_hull(BUDGETS, accuracy) == hull


def test_budgets_that_spend_alike_count_once() -> None:
    assert concave_hull([0, 50, 50, 50], [0.0, 0.2, 0.6, 0.5]) == [0, 2]


curves = st.integers(1, 6).flatmap(
    lambda problems: st.tuples(
        st.lists(st.lists(st.integers(0, 8), min_size=4, max_size=4), min_size=problems, max_size=problems),
        st.lists(st.integers(1, 500), min_size=problems, max_size=problems),
    )
)


@settings(max_examples=200, deadline=None)
@given(curves)
def test_no_budget_for_all_beats_the_oracle_on_its_own_samples(
    drawn: tuple[list[list[int]], list[int]],
) -> None:
    eighths, lengths = drawn
    tokens = np.minimum(np.array(lengths)[:, None], BUDGETS).astype(float)
    table = Curves(tokens=tokens, accuracy=np.array(eighths) / 8)
    oracle = Oracle(table, table)
    path_tokens, path_accuracy = oracle.path(np.ones((1, len(lengths))))
    best = np.maximum.accumulate(path_accuracy[0])
    spent, fixed = tokens.mean(axis=0), table.accuracy.mean(axis=0)
    assert (np.interp(spent, path_tokens[0], best) >= fixed - 1e-9).all()
    assert (oracle.regret(np.ones((1, len(lengths))))[0] >= -1e-6).all()


def test_problems_that_share_a_concave_curve_leave_nothing_to_save() -> None:
    chance = np.array([0.2, 0.5, 0.7, 0.8])
    draws = np.random.default_rng(3).random((60, 400, 1)) < chance
    found = regret_of(outcomes_of(draws, BUDGETS, lengths=np.full((60, 400), 400)), replicates=200)
    # At the end a noisy oracle may fall short of the flat curve by some tokens, never be far ahead.
    assert all(abs(one.tokens) < 20 for one in found[:-1])
    in_sample = curves_of(outcomes_of(draws, BUDGETS, lengths=np.full((60, 400), 400)), slice(None))
    assert all(saved >= -1e-6 for saved in Oracle(in_sample, in_sample).regret(np.ones((1, 60)))[0])


def test_an_oracle_that_sees_the_noise_looks_better() -> None:
    draws = np.random.default_rng(4).random((40, 4, 1)) < np.array([0.2, 0.5, 0.7, 0.8])
    noisy = outcomes_of(
        np.random.default_rng(5).random((40, 4, 4)) < np.array([0.2, 0.5, 0.7, 0.8]),
        BUDGETS,
        lengths=np.full(draws.shape[:2], 400),
    )
    seen = curves_of(noisy, slice(None))
    fitted = regret_of(noisy, replicates=100)
    assert Oracle(seen, seen).regret(np.ones((1, 40)))[0][2] > fitted[2].tokens + 50


def test_one_sample_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="1 sample per problem is too few, run with --samples 2"):
        regret_of(random_outcomes(5, 1, BUDGETS))
