"""Per-trace efficiency by hand, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of
from hypothesis import given
from hypothesis import strategies as st

from reghar.measures.efficiency import efficiency_of, minimal_budgets
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
