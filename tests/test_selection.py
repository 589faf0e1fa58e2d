"""Budget selection on the published frontiers, against what the paper reports."""

from __future__ import annotations

import numpy as np
import pytest

from reghar.errors import InputError
from reghar.frontiers.frontier import load_frontier
from reghar.measures.selection import approximation_error, oracle, selection_errors, up_to

MODELS = ("DeepSeek-R1-Distill-Qwen-1.5B", "DeepSeek-R1-Distill-Qwen-7B", "Qwen3-4B", "Qwen3-8B")


def averaged(model: str) -> tuple[list[int], list[float]]:
    tasks = list(load_frontier(model).tasks.values())
    return up_to(tasks[0].budgets, np.mean([task.accuracy for task in tasks], axis=0))


@pytest.mark.parametrize("model", MODELS)
def test_errors_at_16k_are_those_of_the_paper(model: str) -> None:
    errors = selection_errors(*averaged(model))
    assert [len(values) for values in errors.values()] == [10, 10, 10]
    assert max(errors["exp"][4:]) < 0.01
    assert max(errors["linear"][4:]) < 0.01
    assert max(errors["oracle"][4:]) < 0.004


def test_exp_with_5_budgets_lies_between_a_quarter_and_0_7_percent() -> None:
    errors = [selection_errors(*averaged(model), up_to_n=5)["exp"][4] for model in MODELS]
    assert min(errors) == pytest.approx(0.0025, abs=0.0001)
    assert max(errors) < 0.007


def test_the_whole_grid_has_no_error() -> None:
    budgets, accuracy = averaged("Qwen3-4B")
    assert approximation_error(budgets, budgets, accuracy) == 0
    assert approximation_error([0, 16384], budgets, accuracy) > 0.05


def test_the_oracle_is_greedy() -> None:
    budgets, accuracy = [0, 10, 20, 30, 40], [0.0, 0.5, 0.6, 0.7, 0.8]
    assert oracle(1, budgets, accuracy, l_min=10) == (0, 10, 40)
    assert oracle(2, budgets, accuracy, l_min=20)[1:-1] == (20, 30)
    with pytest.raises(InputError, match="4 asked for"):
        oracle(4, budgets, accuracy, l_min=10)


def test_the_ends_must_be_there() -> None:
    with pytest.raises(InputError, match="0 and 100"):
        up_to([0, 64], [0, 1], 100)
    with pytest.raises(InputError, match="0 everywhere"):
        approximation_error([0, 64], [0, 64], [0, 0])
