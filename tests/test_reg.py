"""REG and its companions: figures known from the paper, and laws that any curve obeys."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from reghar.budgets import REG_GRID
from reghar.errors import InputError
from reghar.measures import reg

Array = NDArray[np.float64]
GRID = np.array([0, 64, 512, 1000, 1100, 2048, 4096])
accuracies = arrays(np.float64, GRID.size, elements=st.floats(0, 1))


def frontiers(published: Path) -> dict[tuple[str, str], tuple[Array, Array]]:
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with (published / "frontier_points.csv").open() as file:
        for row in csv.DictReader(file):
            key = row["base_model"], row["task"]
            points.setdefault(key, []).append((float(row["budget_tokens"]), float(row["accuracy"])))
    return {key: (np.array(rows)[:, 0], np.array(rows)[:, 1]) for key, rows in points.items()}


@pytest.mark.parametrize(
    ("task", "expected"),
    [("aime24", 8007.43), ("aime25", 6696.47), ("amc23", 13700.65), ("minerva_math", 7224.85)],
)
def test_areas_of_the_published_frontiers(published: Path, task: str, expected: float) -> None:
    budgets, accuracy = frontiers(published)["Qwen3-4B", task]
    within = budgets <= 16384
    assert tuple(budgets[within]) == REG_GRID
    assert float(reg.area(budgets[within], accuracy[within])) == pytest.approx(expected, abs=0.005)


def test_reg_of_every_published_frontier_against_itself_is_0(published: Path) -> None:
    for budgets, accuracy in frontiers(published).values():
        result = reg.reg(budgets[:32], accuracy[:32], budgets, accuracy)
        assert (result.total, result.up_to_1024, result.positive, result.negative) == (0, 0, 0, 0)
        assert result.notes == ()


def test_reg_of_a_constant_curve_is_the_area_less_a_rectangle(published: Path) -> None:
    budgets, accuracy = frontiers(published)["Qwen3-4B", "aime24"]
    result = reg.reg(budgets[:32], np.full(32, 0.1), budgets, accuracy)
    assert result.total == pytest.approx(8007.43 - 0.1 * 16384, abs=0.005)
    short = float(np.trapezoid(accuracy[:17], budgets[:17]))
    assert result.up_to_1024 == pytest.approx(short - 102.4)


def test_the_papers_average_is_the_plain_mean(published: Path) -> None:
    with (published / "reg_paper_table1.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "base"]
    for model in {row["base_model"] for row in rows}:
        own = {row["task"]: float(row["reg"]) for row in rows if row["base_model"] == model}
        average = own.pop("average")
        assert np.mean(list(own.values())) == pytest.approx(average, abs=0.06)


@given(accuracies, accuracies)
def test_swapping_curve_and_frontier_negates_reg(one: Array, other: Array) -> None:
    there = reg.reg(GRID, one, GRID, other)
    back = reg.reg(GRID, other, GRID, one)
    assert there.total == pytest.approx(-back.total, abs=1e-6)
    assert there.positive == pytest.approx(-back.negative, abs=1e-6)


@given(accuracies, accuracies, st.floats(-1, 1))
def test_adding_c_lowers_reg_by_c_times_the_range(curve: Array, best: Array, c: float) -> None:
    before, after = (reg.reg(GRID, values, GRID, best) for values in (curve, curve + c))
    assert after.total == pytest.approx(before.total - c * 4096, abs=1e-6)
    assert after.up_to_1024 == pytest.approx(before.up_to_1024 - c * 1024, abs=1e-6)


@given(accuracies, accuracies, st.integers(1, GRID.size - 2))
def test_reg_is_additive_over_split_ranges(curve: Array, best: Array, at: int) -> None:
    whole = reg.reg(GRID, curve, GRID, best)
    parts = [reg.reg(GRID[part], curve[part], GRID, best) for part in (slice(None, at + 1), slice(at, None))]
    assert sum(part.total for part in parts) == pytest.approx(whole.total, abs=1e-6)
    assert sum(part.positive for part in parts) == pytest.approx(whole.positive, abs=1e-6)


@given(accuracies, accuracies, st.sets(st.integers(1, 4095), max_size=10))
def test_linearly_interpolated_budgets_change_nothing(curve: Array, best: Array, extra: set[int]) -> None:
    finer = np.union1d(GRID, np.array(sorted(extra), dtype=int))
    before = reg.reg(GRID, curve, GRID, best)
    after = reg.reg(finer, np.interp(finer, GRID, curve), GRID, best)
    for figure in ("total", "up_to_1024", "positive", "negative"):
        assert getattr(after, figure) == pytest.approx(getattr(before, figure), abs=1e-6)


@given(accuracies, accuracies)
def test_the_split_adds_up_and_matches_a_fine_grid(curve: Array, best: Array) -> None:
    result = reg.reg(GRID, curve, GRID, best)
    fine = np.arange(4097)
    gap = np.interp(fine, GRID, best - curve)
    assert result.positive + result.negative == pytest.approx(result.total, abs=1e-6)
    assert result.positive >= 0 >= result.negative - 1e-9
    assert result.positive == pytest.approx(np.trapezoid(np.maximum(gap, 0), fine), abs=4)


def test_positive_area_splits_a_segment_where_the_sign_changes() -> None:
    assert float(reg.positive_area([0, 10], [1, -1])) == pytest.approx(2.5)
    assert float(reg.positive_area([0, 10], [-1, 3])) == pytest.approx(0.5 * 3 * 7.5)
    assert float(reg.positive_area([0, 10], [-1, 0])) == 0


@given(accuracies, accuracies)
def test_wasted_tokens_equal_reg_where_both_rise(one: Array, other: Array) -> None:
    curve, best = np.sort(one), np.sort(other)
    reading = reg.wasted_tokens(GRID, curve, best)
    assert reading == pytest.approx(reg.reg(GRID, curve, GRID, best).total, abs=1e-3)


def test_wasted_tokens_need_rising_curves() -> None:
    assert reg.wasted_tokens([0, 1, 2], [0.1, 0.3, 0.2], [0.1, 0.2, 0.3]) is None
    assert reg.wasted_tokens([0, 1, 2], [0.1, 0.2, 0.2], [0.1, 0.3, 0.2]) is None


def test_a_grid_without_0_says_so() -> None:
    result = reg.reg([64, 4096], [0, 0], [0, 64, 4096], [0, 0.5, 0.5])
    assert result.total == pytest.approx(0.5 * 4032)
    assert "no budget 0: integrated from 64 on" in result.notes[0]


def test_another_grid_is_interpolated_and_said() -> None:
    result = reg.reg([0, 1000], [0, 0], [0, 64, 2000], [0, 0.4, 0.4])
    assert result.total == pytest.approx(0.2 * 1000)
    assert "not comparable with a run on another grid" in result.notes[0]
    assert "interpolated linearly at 1 of them" in result.notes[0]


def test_a_shorter_run_on_the_frontiers_grid_needs_no_note() -> None:
    assert reg.reg([0, 64], [0, 0], [0, 64, 2000], [0, 0.4, 0.4]).notes == ()


@pytest.mark.parametrize(
    ("budgets", "says"),
    [([0, 2001], "2001 is beyond the frontier's last, 2000"), ([0, 2000], "before"), ([64], "two budgets")],
)
def test_budgets_outside_the_frontier_are_refused(budgets: list[int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        reg.reg(budgets, [0.5] * len(budgets), [32, 2000], [0, 1])


def test_the_short_part() -> None:
    assert reg.area_up_to([1024, 2048], [1, 1], 1024) is None
    assert reg.area_up_to([0, 512], [1, 1], 1024) == pytest.approx(512)
    assert reg.area_up_to([0, 2048], [0, 1], 1024) == pytest.approx(256)
    assert reg.area_up_to([0, 1024, 2048], [1, 1, 9], 1024) == pytest.approx(1024)


def test_tokens_to_reach() -> None:
    budgets = [0, 100, 200, 300]
    curve = [0.1, 0.3, 0.2, 0.5]
    assert float(reg.tokens_to_reach(budgets, curve, 0.05)) == 0
    assert float(reg.tokens_to_reach(budgets, curve, 0.2)) == pytest.approx(50)
    assert float(reg.tokens_to_reach(budgets, curve, 0.3)) == pytest.approx(100)
    assert float(reg.tokens_to_reach(budgets, curve, 0.4)) == pytest.approx(200 + 100 * 2 / 3)
    assert float(reg.tokens_to_reach(budgets, curve, 0.6)) == np.inf
    both = reg.tokens_to_reach(budgets, [curve, [0, 0, 0, 0.2]], 0.2)
    np.testing.assert_allclose(both, [50, 300])


def test_a_plateau_of_equal_means_is_flat_whatever_the_order_of_problems() -> None:
    budgets = [0, 1024, 2048, 4096]
    below = np.nextafter(0.5, 0)
    assert reg.tokens_to_reach(budgets, [0, below, 0.5, 0.6], 0.5) == 1024
    assert reg.wasted_tokens(budgets, [0, 0.5, below, 0.6], [0, 0.7, 0.7, 0.7]) == pytest.approx(
        float(reg.area(budgets, [0, 0.2, 0.2, 0.1]))
    )


def test_the_top_is_taken_up_to_the_last_budget() -> None:
    assert reg.frontier_top([0, 100, 200], [0, 0.6, 0.5], 200) == 0.6
    assert reg.frontier_top([0, 100, 200], [0, 0.6, 0.9], 150) == pytest.approx(0.75)


def test_change_against_a_baseline() -> None:
    assert reg.change(900, 1200).relative == pytest.approx(-0.25)
    assert reg.change(900, 1200).absolute == -300
    assert reg.change(5, 0).relative is None
    assert reg.change(5, -3).relative is None
