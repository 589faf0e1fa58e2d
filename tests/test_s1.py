"""s1's metrics on s1's own figures, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar.measures import s1
from reghar.measures.clusters import Clusters
from reghar.measures.control_methods import ControlMethod, Evaluation

NONE = np.nan


def test_scaling_of_table_12() -> None:
    result = s1.scaling([7252, 6277, 5396, 5552, 7551], [33.3, 23.3, 33.3, 36.7, 33.3])
    assert float(result.per_doubling) == pytest.approx(3.02, abs=0.005)


def test_scaling_of_table_12_lower_half() -> None:
    result = s1.scaling([1517, 2963, 4636, 5409, 7551], [23.3, 23.3, 33.3, 36.7, 33.3])
    assert float(result.per_doubling) == pytest.approx(6.44, abs=0.005)
    assert int(result.pairs_left_out) == 0


@given(st.floats(-20, 20), st.sets(st.integers(1, 20_000), min_size=2, max_size=8))
def test_scaling_of_a_straight_line_is_its_slope(slope: float, settings: set[int]) -> None:
    tokens = np.array(sorted(settings), dtype=float)
    assert float(s1.scaling(tokens, slope * np.log2(tokens)).per_doubling) == pytest.approx(slope, abs=1e-6)
    assert float(s1.scaling(tokens, slope * tokens).per_1000) == pytest.approx(1000 * slope, abs=1e-5)


def test_pairs_without_a_slope_are_left_out_and_counted() -> None:
    result = s1.scaling([0, 100, 100, 200], [0, 10, 30, 40])
    assert int(result.pairs_left_out) == 4
    assert float(result.per_doubling) == pytest.approx((30 + 10) / 2)
    assert float(result.per_1000) == pytest.approx((300 + 100) / 2)
    alone = s1.scaling([5, 5], [1, 2])
    assert np.isnan(alone.per_doubling)
    assert np.isnan(s1.scaling([5.0], [1.0]).per_doubling)


def test_scaling_takes_leading_dimensions() -> None:
    tokens = np.array([[100.0, 200.0], [0.0, 200.0]])
    result = s1.scaling(tokens, [[10, 20], [10, 20]])
    np.testing.assert_allclose(result.per_doubling, [10, np.nan])
    assert result.pairs_left_out.tolist() == [0, 1]


def test_control_counts_bounded_settings_alone() -> None:
    assert s1.control([900, 2100, 50], [NONE] * 3, [1024, 2048, NONE]) == 50
    assert s1.control([900, 2100], [1000, 2000], [NONE, NONE]) == 50
    assert s1.control([1024], [NONE], [1024]) == 100
    assert s1.control([5.0], [NONE], [NONE]) is None


def test_class_control_compares_with_the_run_without_instruction() -> None:
    assert s1.class_control(short=500, long=1500, reference=1000) == 100
    assert s1.class_control(short=1000, long=1500, reference=1000) == 50
    assert s1.class_control(short=1200, long=900, reference=1000) == 0


def test_sample_level_share() -> None:
    assert s1.within([10, 20, 30], NONE, 20).mean() == pytest.approx(2 / 3)


def test_performance_is_the_best_setting() -> None:
    assert float(s1.performance([23.3, 36.7, 33.3])) == 36.7


def test_a_methods_accuracy_is_in_percent() -> None:
    nobody = np.zeros((1, 1), dtype=bool)
    settings = [
        Evaluation(
            name=str(limit),
            minimum=None,
            maximum=limit,
            used=np.array([[limit]]),
            answer=None,
            correct=np.zeros((1, 1)),
            stored=~nobody,
            unfinished=nobody,
        )
        for limit in (256, 512)
    ]
    found = ControlMethod(
        name="force", settings=settings, reference=None, clusters=Clusters.alone(1)
    ).figures(np.array([256.0, 512.0, 0.25, 0.75, 0.0]))
    assert float(found["scaling"]) == pytest.approx(50)
    assert float(found["performance"]) == 75
