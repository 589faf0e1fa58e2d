"""Rewards of stored traces: by hand on small arrays, on a stored run by the command, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stored_runs import BUDGETS, write_data, write_run
from scipy.stats import spearmanr

from reghar import rewards
from reghar.cli import main
from reghar.rewards.of_run import TaskRewards
from reghar.store import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rewards")
    return write_run(folder / "run", write_data(folder / "data"), seed=1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    return write_run(folder / "run", write_data(folder / "data"), seed=2)


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["reward", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_summary_by_hand() -> None:
    right = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]], dtype=bool)
    one = TaskRewards(
        task="t",
        problems=("a", "b", "c"),
        length=np.array([[100, 400, 900, 1600], [10, 10, 20, 30], [5, 6, 7, 8]]),
        right=right,
        reward=np.array([[3.0, 2.0, 1.0, 0.5], [1.0, 2.0, 3.0, 3.0], [1.0, 1.0, 1.0, 1.0]]),
    )
    assert one.mean_right == pytest.approx((3 + 2 + 1 + 1 + 3 + 3) / 6)
    assert one.mean_wrong == pytest.approx((0.5 + 2 + 4) / 6)
    assert one.zero_variance == pytest.approx(1 / 3)
    assert one.prefers_wrong == ["b"]
    correlation, problems = one.length_correlation
    assert problems == 2
    assert correlation == pytest.approx((-1 + spearmanr([1, 3, 3], [10, 20, 30]).statistic) / 2)
    assert one.rloo[0] == pytest.approx(rewards.rloo([3, 2, 1, 0.5]))
    assert one.grpo[2].tolist() == [0, 0, 0, 0]
    assert replace(one, right=~right & False).mean_right is None


def test_plp_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = printed(capsys, run, "--reward", "plp", "--alpha", 4)
    outcomes = load_run(run).outcomes("amc23")
    task = result["tasks"]["amc23"]
    found = np.array([row["reward"] for row in task["traces"]]).reshape(outcomes.length.shape)
    expected = [
        rewards.plp(a, b, alpha=4) for a, b in zip(outcomes.length, outcomes.full_correct, strict=True)
    ]
    assert found == pytest.approx(np.array(expected))
    assert task["prefers_wrong"] == []
    assert task["mean_reward_wrong"] == 0
    assert task["length_correlation_right"] == pytest.approx(-1)
    advantages = [row["rloo"] for row in task["traces"][: outcomes.length.shape[1]]]
    assert advantages == pytest.approx(rewards.rloo(expected[0]))


def test_reo_rl_takes_the_stored_probes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = load_run(run).outcomes("amc23")
    result = printed(capsys, run, "--reward", "reo_rl", "--budgets", "64,256")
    rights = outcomes.correct[..., [1, 3, 4]]
    found = [row["reward"] for row in result["tasks"]["amc23"]["traces"]]
    expected = [rewards.reo_rl(group, budgets=[64, 256], l_max=512) for group in rights]
    assert found == pytest.approx(np.ravel(expected))
    every = printed(capsys, run, "--reward", "reo_rl")["tasks"]["amc23"]["traces"]
    expected = [
        rewards.reo_rl(group, budgets=BUDGETS[1:-1], l_max=512) for group in outcomes.correct[..., 1:]
    ]
    assert [row["reward"] for row in every] == pytest.approx(np.ravel(expected))


def test_q_spec_takes_minimal_budgets(run: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: the budget at which the mean of the naming run first reaches its mean at L_max."""
    outcomes = load_run(run).outcomes("amc23")
    for source, arguments in ((run, []), (other, ["--reference", other, "--equation", 13])):
        rows = printed(capsys, run, "--reward", "q_spec", *arguments)["tasks"]["amc23"]["traces"]
        means = load_run(source).outcomes("amc23").correct.mean(axis=1)
        for i, rights in enumerate(outcomes.correct):
            first = next(j for j in range(1, 5) if means[i, j] >= means[i, -1])
            expected = 256 * rights[:, 4]
            if first < 4 and means[i, -1] > 0:
                weights = (512 if source is run else BUDGETS[first], 512 - BUDGETS[first])
                expected = rights[:, [first, 4]] @ weights / 2
            assert [row["reward"] for row in rows[8 * i : 8 * i + 8]] == pytest.approx(expected)


def test_length_harmonizing_by_a_reference_run(
    run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (run, "--reward", "length_harmonizing", "--gamma", 2)
    result = printed(capsys, *arguments, "--reference", other)
    row = result["tasks"]["aime24"]["traces"][0]
    known = load_run(other).outcomes("aime24")
    mean, accuracy = known.length[0].mean(), known.full_correct[0].mean()
    assert row["reward"] == pytest.approx(mean / row["length"] - 1 + 2 * (row["correct"] - accuracy))
    assert main(["reward", *map(str, arguments)]) == 2
    assert "--reference RUN" in capsys.readouterr().err


def test_it_is_printed_for_a_person_and_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reward", str(run), "--reward", "token_budget", "--limit", "300", "--figures"]) == 0
    shown = capsys.readouterr()
    for part in ("mean reward, right", "Spearman", "groups without variance", "prefers a wrong response"):
        assert part in shown.out
    assert (run / "reward-token_budget.png").stat().st_size > 2_000
    assert "Reward (token_budget)" in (run / "reward-token_budget.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--reward", "plq"], "unknown reward 'plq'"),
        (["--reward", "plp"], "plp needs alpha"),
        (["--reward", "plp", "--alpha", "-1"], "alpha is -1"),
        (["--reward", "plp", "--alpha", "nan"], "alpha is nan"),
        (["--reward", "plp", "--alpha", "4", "--limit", "3"], "plp takes no limit"),
        (["--reward", "plp", "--alpha", "4", "--budgets", "64"], "--budgets belong to reo_rl"),
        (["--reward", "reo_rl", "--budgets", "64,100"], "no answers at [100]"),
        (["--reward", "reo_rl", "--budgets", "128,64"], "not increasing"),
        (["--reward", "reo_rl", "--coefficients", "two"], "'two'"),
        (["--reward", "q_spec", "--equation", "8"], "equation is 8"),
        (["--reward", "plp", "--alpha", "4", "--reference", "."], "not a run folder"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reward", str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_groups_of_one_have_no_advantage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = write_run(tmp_path / "run", write_data(tmp_path / "data"), seed=1, samples=1, limit=2)
    capsys.readouterr()
    assert main(["reward", str(single), "--reward", "plp", "--alpha", "4"]) == 2
    assert "at least 2" in capsys.readouterr().err
