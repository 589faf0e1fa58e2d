"""J(L): means over problems of means over samples, over exactly what was planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes

from reghar.errors import InputError
from reghar.measures.curves import curve_of
from reghar.store.outcomes import MISSING

CORRECT = [[[0, 1], [0, 0]], [[1, 1], [0, 1]], [[0, 0], [0, 0]]]


def test_accuracy_by_budget() -> None:
    curve = curve_of(outcomes_of(CORRECT, [0, 64]))
    np.testing.assert_allclose(curve.accuracy, [(0 + 0.5 + 0) / 3, (0.5 + 1 + 0) / 3])
    assert (curve.problems, curve.samples, curve.complete) == (3, 2, True)


def test_only_correct_counts() -> None:
    outcomes = outcomes_of(CORRECT, [0, 64])
    other = outcomes.outcome.copy()
    other[other == 1] = [2, 3, 4, 5, 1, 2, 3, 4]
    np.testing.assert_array_equal(
        curve_of(replace(outcomes, outcome=other)).accuracy, curve_of(outcomes).accuracy
    )


def test_an_incomplete_run_is_refused() -> None:
    outcomes = outcomes_of(CORRECT, [0, 64])
    outcomes.outcome[1, 1, 0] = MISSING
    with pytest.raises(InputError, match=r"aime24: the run is incomplete, 1 of 6 traces are missing"):
        curve_of(outcomes)


def test_a_partial_curve_divides_by_what_is_there() -> None:
    outcomes = outcomes_of(CORRECT, [0, 64])
    outcomes.outcome[1, 1, 0] = MISSING  # leaves one right sample of the second problem
    outcomes.full[2] = MISSING  # and nothing of the third
    curve = curve_of(outcomes, partial=True)
    np.testing.assert_allclose(curve.accuracy, [(0 + 1) / 2, (0.5 + 1) / 2])
    assert (curve.problems, curve.samples, curve.complete) == (2, 1, False)


def test_nothing_stored_is_said() -> None:
    outcomes = outcomes_of(CORRECT, [0, 64])
    outcomes.full[:] = MISSING
    with pytest.raises(InputError, match="no trace is stored"):
        curve_of(outcomes, partial=True)


def test_order_and_duplicated_samples_change_nothing() -> None:
    outcomes = random_outcomes(7, 3, [0, 64, 128])
    right = outcomes.outcome == 0
    expected = curve_of(outcomes).accuracy
    for same in (right[::-1], right[:, ::-1], np.concatenate([right, right], axis=1)):
        np.testing.assert_allclose(curve_of(outcomes_of(same, [0, 64, 128])).accuracy, expected)
