"""Per-trace efficiency by hand, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of
from hypothesis import given
from hypothesis import strategies as st

from reghar.measures.efficiency import efficiency_means, efficiency_of, minimal_budgets
from reghar.store.outcomes import MISSING

BUDGETS = [0, 100, 200, 400]
NONE = np.nan

CASES = {
    # name: (right at each budget, |y|, first, settled, flips, overthought, wasted, outcome efficiency)
    "never": ([0, 0, 0, 0], 300, NONE, NONE, 0, 0, NONE, NONE),
    "always": ([1, 1, 1, 1], 300, 0, 0, 0, 0, 300, 0),
    "settles": ([0, 1, 1, 1], 300, 100, 100, 0, 0, 200, 1 / 3),
    "at the end": ([0, 0, 0, 1], 300, 400, 400, 0, 0, 0, 1),
    "flips": ([0, 1, 0, 1], 300, 100, 400, 1, 0, 0, 1 / 3),
    "flips from the start": ([1, 0, 1, 1], 1000, 0, 200, 1, 0, 800, 0),
    "overthinks": ([0, 1, 1, 0], 1000, 100, NONE, 0, 1, NONE, 0.1),
    "flips and overthinks": ([1, 0, 1, 0], 1000, 0, NONE, 1, 1, NONE, 0),
    "empty trace": ([1, 1, 1, 1], 0, 0, 0, 0, 0, 0, NONE),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name: str) -> None:
    right, length, *expected = CASES[name]
    figures = efficiency_of(outcomes_of([[right]], BUDGETS, lengths=[[length]]))
    got = [
        figures.first_correct,
        figures.settled,
        figures.flips,
        figures.overthought,
        figures.wasted_tokens,
        figures.outcome_efficiency,
    ]
    np.testing.assert_allclose([values[0, 0] for values in got], expected)


def test_budgets_of_thinking_tokens_are_compared_with_thinking_tokens() -> None:
    outcomes = outcomes_of([[[0, 1, 1, 1]]], BUDGETS, lengths=[[4000]])
    thinking = replace(outcomes, thinking_length=np.array([[100]]), budget_counts="thinking")
    assert efficiency_of(thinking).wasted_tokens[0, 0] == max(0, 100 - BUDGETS[1])
    assert efficiency_of(outcomes).wasted_tokens[0, 0] == 4000 - BUDGETS[1]


SETTLES, LATE, NEVER = ([0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0])


def test_means_are_over_the_traces_that_have_a_figure_then_over_problems() -> None:
    """Problems with three, one and no right traces; nothing that does not exist counts as 0."""
    right = [[SETTLES] * 3, [LATE, NEVER, NEVER], [NEVER] * 3]
    outcomes = outcomes_of(right, BUDGETS, lengths=np.full((3, 3), 300))
    means = efficiency_means(outcomes, seed=0, replicates=200)
    found = {name: (one.value, one.traces) for name, one in means.items() if one is not None}
    assert found == {
        "first_correct": ((100 + 400) / 2, 4),
        "settled": ((100 + 400) / 2, 4),
        "flips": (0, 9),
        "overthought": (0, 9),
        "wasted_tokens": ((200 + 0) / 2, 4),
        "outcome_efficiency": (pytest.approx((1 / 3 + 1) / 2), 4),
        "never_correct": (pytest.approx((0 + 2 / 3 + 1) / 3), 9),
    }
    # Of the two problems that have it: Student's t with one degree of freedom, 12.706 x 150.
    first = means["first_correct"]
    assert first is not None
    assert (first.low, first.high) == (
        pytest.approx(250 - 12.706 * 150, rel=0.2),
        pytest.approx(250 + 12.706 * 150, rel=0.2),
    )
    torn = replace(outcomes, full=np.where(np.arange(9).reshape(3, 3) < 8, outcomes.full, MISSING))
    never = efficiency_means(replace(torn, full=torn.full.astype(np.int8)), seed=0, replicates=50)
    assert never["never_correct"] is not None
    assert never["never_correct"].traces == 8


def test_figures_that_no_trace_has_or_only_one_problem() -> None:
    outcomes = outcomes_of([[SETTLES], [NEVER]], BUDGETS, lengths=[[300], [300]])
    means = efficiency_means(outcomes, seed=0, replicates=50)
    first = means["first_correct"]
    assert first is not None
    assert (first.value, first.low, first.high, first.traces) == (100, None, None, 1)
    nothing = efficiency_means(outcomes_of([[NEVER]] * 3, BUDGETS), seed=0, replicates=50)
    assert [name for name, one in nothing.items() if one is None] == [
        *("first_correct", "settled", "wasted_tokens", "outcome_efficiency")
    ]
    assert nothing["never_correct"] is not None
    assert nothing["never_correct"].value == 1
    assert nothing["never_correct"].low is not None
    assert nothing["never_correct"].low < 0.5  # three of three are no certainty


def test_traces_that_are_not_stored_are_nan() -> None:
    outcomes = outcomes_of([[[1, 1, 1, 1], [1, 1, 1, 1]]], BUDGETS)
    torn = replace(outcomes, full=np.array([[MISSING, 0]], dtype=np.int8))
    figures = efficiency_of(torn)
    assert np.isnan(figures.flips[0, 0])
    assert np.isnan(figures.wasted_tokens[0, 0])
    assert figures.flips[0, 1] == 0


@given(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(1, 1000))
def test_laws(right: list[bool], length: int) -> None:
    figures = efficiency_of(outcomes_of([[right]], BUDGETS, lengths=[[length]]))
    first, settled, overthought = (
        values[0, 0] for values in (figures.first_correct, figures.settled, figures.overthought)
    )
    assert np.isnan(first) == (not any(right))
    assert np.isnan(settled) == (not right[-1])
    assert bool(overthought) == (any(right) and not right[-1])
    if not np.isnan(settled):
        assert first <= settled
        assert 0 <= figures.wasted_tokens[0, 0] <= length
        assert (figures.flips[0, 0] == 0) == (first == settled)


def test_minimal_budget_of_a_question() -> None:
    means = [
        [[0.5, 0.0, 0.2, 0.5], [0, 0, 0, 0], [0.9, 0.1, 0.6, 0.4]],
        [[0.0, 0.4, 0.5, 0.2], [0, 0, 0, 0], [0.0, 0.0, 0.0, 0.5]],
    ]
    np.testing.assert_allclose(minimal_budgets(means, BUDGETS), [200, NONE, 200])
