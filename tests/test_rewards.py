"""Rewards and advantages: printed figures, laws, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar import rewards
from reghar.budgets import parse_budgets
from reghar.errors import InputError

LENGTHS = [100, 400, 900, 1600]
LAST_WRONG = [1, 1, 1, 0]

groups = st.lists(st.tuples(st.integers(1, 40_000), st.booleans()), min_size=2, max_size=12)


def columns(group: list[tuple[int, bool]]) -> tuple[list[int], list[bool]]:
    return [length for length, _ in group], [right for _, right in group]


def test_plp() -> None:
    lengths = [100, 400, 900, 218]
    assert rewards.plp(lengths, [1] * 4, alpha=4) == pytest.approx([1.4, 1.2, 1.133333, 1.270914], abs=5e-7)
    assert rewards.plp(lengths, [1, 0, 1, 0], alpha=0).tolist() == [1, 0, 1, 0]
    assert rewards.plp([0, 100], [0, 1], alpha=4).tolist() == [0, 1.4]
    assert rewards.plp([], [], alpha=4).tolist() == []


@pytest.mark.parametrize(("a", "b", "variance"), [(300, 600, 2.2852265e-5), (7000, 10000, 3.1410606e-7)])
def test_the_variance_of_plp_fades_with_length(a: int, b: int, variance: float) -> None:
    law = (np.log(b) - np.log(a)) / (b - a) - 4 / (np.sqrt(a) + np.sqrt(b)) ** 2
    assert law == pytest.approx(variance, rel=1e-6)
    lengths = np.linspace(a, b, 100_001)[:-1] + (b - a) / 200_000
    spread = rewards.plp(lengths, np.ones(100_000), alpha=1).var()
    assert spread == pytest.approx(law, rel=1e-6)


def test_length_group_norm() -> None:
    value = rewards.length_group_norm(LENGTHS, LAST_WRONG, alpha=0.4)
    assert value == pytest.approx([0.900939, 0.820135, 0.684781, 0], abs=5e-7)
    assert rewards.length_group_norm(LENGTHS, [0, 1, 0, 0], alpha=0.4).tolist() == [0, 0.8, 0, 0]
    assert rewards.length_group_norm([7, 7, 9], [1, 1, 0], alpha=0.4).tolist() == [0.8, 0.8, 0]
    assert rewards.length_group_norm(LENGTHS, [0] * 4, alpha=0.4).tolist() == [0] * 4


def test_wrong_responses_do_not_move_length_group_norm() -> None:
    one = rewards.length_group_norm([*LENGTHS[:3], 2], LAST_WRONG, alpha=0.4)
    assert one.tolist() == rewards.length_group_norm(LENGTHS, LAST_WRONG, alpha=0.4).tolist()


def test_length_harmonizing() -> None:
    value = rewards.length_harmonizing([400, 1600, 400], [1, 1, 0], ref_length=800, ref_accuracy=0.5, gamma=2)
    assert value.tolist() == [2.0, 0.5, 0.0]


def test_token_budget() -> None:
    assert rewards.token_budget(LENGTHS, LAST_WRONG, limit=400).tolist() == [1, 1, 0, 0]
    assert rewards.token_budget(LENGTHS, LAST_WRONG, limit=1600).tolist() == [1, 1, 1, 0]


def test_reo_rl() -> None:
    given = {"budgets": [1024, 4096], "l_max": 16384}
    assert rewards.reo_rl_coefficients(**given).tolist() == [2048, 7680, 6144]
    rights = [[0, 1, 1], [1, 1, 1], [0, 0, 1]]
    assert rewards.reo_rl(rights, **given).tolist() == [13824, 15872, 6144]
    assert rewards.reo_rl(rights, **given, normalise=True)[1] == 1
    assert rewards.reo_rl(rights, **given, coefficients="one").tolist() == [2, 3, 1]
    assert rewards.reo_rl(rights, **given, coefficients="one", normalise=True)[0] == pytest.approx(2 / 3)
    assert rewards.reo_rl([[1], [0]], budgets=[], l_max=16384).tolist() == [8192, 0]


def test_reo_rl_on_exponential_budgets() -> None:
    budgets = parse_budgets("exp:5")[1:-1]
    weights = rewards.reo_rl_coefficients(budgets, 16384)
    assert weights.tolist() == [891.5, 1040, 1811, 3153, 5489.5, 3487]


def test_q_spec() -> None:
    rights = [[1, 1], [0, 1]]
    assert rewards.q_spec(rights, minimal_budget=2048, l_max=16384).tolist() == [15360, 7168]
    assert rewards.q_spec(rights, minimal_budget=2048, l_max=16384, equation=13).tolist() == [8192, 7168]
    assert rewards.q_spec(rights, minimal_budget=2048, l_max=16384, normalise=True)[0] == 1


@given(st.lists(st.integers(1, 16383), min_size=1, max_size=6, unique=True), st.data())
def test_reo_rl_is_the_area_under_the_verdicts(budgets: list[int], data: st.DataObject) -> None:
    """By the trapezoid rule from 0 on, where nothing is right."""
    budgets.sort()
    right = data.draw(st.lists(st.booleans(), min_size=len(budgets) + 1, max_size=len(budgets) + 1))
    area = np.trapezoid([0.0, *map(float, right)], [0, *budgets, 16384])
    assert rewards.reo_rl([right], budgets=budgets, l_max=16384)[0] == pytest.approx(area)


def test_advantages_of_plp() -> None:
    right = rewards.plp(LENGTHS, [1] * 4, alpha=4)
    assert rewards.rloo(right) == pytest.approx([0.255556, -0.011111, -0.1, -0.144444], abs=5e-7)
    wrong = rewards.plp(LENGTHS, LAST_WRONG, alpha=4)
    assert rewards.rloo(wrong) == pytest.approx([0.622222, 0.355556, 0.266667, -1.244444], abs=5e-7)


def test_scaling_by_the_standard_deviation_undoes_plp() -> None:
    values = rewards.plp([300, 310, 320, 330], [1] * 4, alpha=4)
    assert rewards.rloo(values)[[0, 3]] == pytest.approx([0.007, -0.007], abs=5e-4)
    assert rewards.grpo(values)[[0, 3]] == pytest.approx([1.18, -1.14], abs=5e-3)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12), st.floats(-50, 50))
def test_advantages_sum_to_nothing_and_ignore_a_constant(values: list[float], shift: float) -> None:
    for advantage in (rewards.rloo, rewards.grpo):
        assert advantage(values).sum() == pytest.approx(0, abs=1e-6)
    moved = rewards.rloo(np.array(values) + shift)
    assert moved == pytest.approx(rewards.rloo(values), abs=1e-9)
    others = [np.mean(np.delete(values, i)) for i in range(len(values))]
    assert rewards.rloo(values) == pytest.approx(np.array(values) - others, abs=1e-9)


def test_grpo_of_equal_rewards_is_nothing_despite_rounding() -> None:
    assert rewards.grpo([0.1, 0.1, 0.1]).tolist() == [0, 0, 0]


@given(groups, st.floats(0, 10), st.floats(0.1, 2))
def test_plp_prefers_right_to_wrong_and_short_to_long(
    group: list[tuple[int, bool]], alpha: float, gamma: float
) -> None:
    lengths, right = columns(group)
    values = rewards.plp(lengths, right, alpha=alpha, gamma=gamma)
    for length, is_right, value in zip(lengths, right, values, strict=True):
        assert (value >= 1) == is_right
        for other_length, other_right, other in zip(lengths, right, values, strict=True):
            if is_right and other_right and length <= other_length:
                assert value >= other


@given(groups, st.permutations(range(12)))
def test_rewards_follow_the_order_of_the_responses(group: list[tuple[int, bool]], order: list[int]) -> None:
    shuffled = [group[i] for i in order if i < len(group)]
    for reward in (
        lambda *a: rewards.plp(*a, alpha=4),
        lambda *a: rewards.length_group_norm(*a, alpha=0.4),
        lambda *a: rewards.length_harmonizing(*a, ref_length=300, ref_accuracy=0.5, gamma=1),
        lambda *a: rewards.token_budget(*a, limit=500),
    ):
        values = dict(zip(range(len(group)), reward(*columns(group)), strict=True))
        expected = [values[i] for i in order if i < len(group)]
        assert reward(*columns(shuffled)) == pytest.approx(expected)


def test_segments_get_the_return_that_their_tokens_can_change() -> None:
    given = {"budgets": [1024, 4096], "l_max": 16384}
    rights = [[0, 1, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1]]
    causal = rewards.segment_advantages(rights, **given)
    returns = np.array([[13824, 13824, 6144], [15872, 13824, 6144], [6144, 6144, 6144], [8192, 6144, 6144]])
    for i in range(2):
        expected = (returns[:, i] - returns[:, i].mean()) / returns[:, i].std(ddof=1)
        assert causal[:, i] == pytest.approx(expected)
    assert causal[:, 2].tolist() == [0, 0, 0, 0]
    paper = rewards.segment_advantages(rights, **given, credit="paper")
    assert paper[:, 0].tolist() == [0, 0, 0, 0]
    assert paper[:, 1:].tolist() == causal[:, :-1].tolist()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rewards.plp([1], [1], alpha=-1), "alpha is -1"),
        (lambda: rewards.plp([1], [1], alpha=float("nan")), "alpha is nan"),
        (lambda: rewards.plp([1], [1], alpha=1, gamma=0), "gamma is 0"),
        (lambda: rewards.plp([1, 2], [1], alpha=1), "one of each"),
        (lambda: rewards.plp([float("nan")], [1], alpha=1), "NaN"),
        (lambda: rewards.plp([-1], [0], alpha=1), "negative"),
        (lambda: rewards.plp([0], [1], alpha=1), "0 tokens"),
        (lambda: rewards.plp([1], [0.5], alpha=1), "0 or 1"),
        (lambda: rewards.plp(["x"], [1], alpha=1), "numbers"),
        (lambda: rewards.length_group_norm([1], [1], alpha=1), "alpha is 1"),
        (lambda: rewards.length_group_norm([1], [1], alpha=-0.1), "alpha is -0.1"),
        (
            lambda: rewards.length_harmonizing([1], [1], ref_length=0, ref_accuracy=0, gamma=1),
            "ref_length is 0",
        ),
        (
            lambda: rewards.length_harmonizing([1], [1], ref_length=1, ref_accuracy=2, gamma=1),
            "ref_accuracy is 2",
        ),
        (
            lambda: rewards.length_harmonizing([1], [1], ref_length=1, ref_accuracy=0, gamma=-1),
            "gamma is -1",
        ),
        (
            lambda: rewards.length_harmonizing([0], [0], ref_length=1, ref_accuracy=0, gamma=1),
            "0 tokens",
        ),
        (lambda: rewards.token_budget([1], [1], limit=0), "limit is 0"),
        (lambda: rewards.reo_rl([[1, 1]], budgets=[5], l_max=5), "not below l_max"),
        (lambda: rewards.reo_rl([[1, 1, 1]], budgets=[4, 3], l_max=5), "not increasing"),
        (lambda: rewards.reo_rl([[1, 1]], budgets=[0], l_max=5), "not increasing"),
        (lambda: rewards.reo_rl([[1, 1]], budgets=[float("nan")], l_max=5), "token counts"),
        (lambda: rewards.reo_rl([[1, 1, 1]], budgets=[3], l_max=5), "2 columns"),
        (lambda: rewards.reo_rl([1, 1], budgets=[3], l_max=5), "2 columns"),
        (lambda: rewards.reo_rl([[1, 1]], budgets=[3], l_max=5, coefficients="two"), "'two'"),
        (lambda: rewards.q_spec([[1, 1]], minimal_budget=5, l_max=5), "not below l_max"),
        (lambda: rewards.q_spec([[1, 1]], minimal_budget=3, l_max=5, equation=8), "equation is 8"),
        (lambda: rewards.segment_advantages([[1, 1]], budgets=[3], l_max=5, credit="all"), "'all'"),
        (lambda: rewards.segment_advantages([[1, 1]], budgets=[3], l_max=5), "at least 2"),
        (lambda: rewards.rloo([1]), "at least 2"),
        (lambda: rewards.grpo([1, float("inf")]), "NaN or infinity"),
    ],
)
def test_bad_input_is_one_line(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_token_over_the_limit_pays_nothing() -> None:
    from reghar.rewards.length import token_budget

    assert token_budget([100, 101], [True, True], limit=100).tolist() == [1.0, 0.0]
