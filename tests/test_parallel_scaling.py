"""pass@k, best-of-N, weighted votes, REBASE: goldens, laws, and the command on a stored run."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stored_runs import write_data, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from reghar.cli import main
from reghar.errors import InputError
from reghar.measures.best_of_n import best_of_n
from reghar.measures.pass_at_k import chances, pass_at_k
from reghar.measures.rebase import rebase_allocation
from reghar.measures.sample_scores import step_score
from reghar.measures.scaling import ABSTAINS, RIGHT, majority
from reghar.store import load_run


@pytest.mark.parametrize(("right", "k", "value"), [(1, 8, 0.25), (4, 8, 0.704505), (16, 2, 0.758065)])
def test_pass_at_k_of_32_samples(right: int, k: int, value: float) -> None:
    correct = np.zeros((1, 32, 1))
    correct[0, :right] = 1
    assert pass_at_k(correct, [k])[0, 0, 0] == pytest.approx(value, abs=5e-7)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample() -> None:
    for right in range(6):
        samples = [1] * right + [0] * (5 - right)
        for k in range(1, 6):
            subsets = list(itertools.combinations(samples, k))
            assert chances(5, k)[right] == pytest.approx(np.mean([max(chosen) for chosen in subsets]))


def test_pass_at_1_is_the_mean_and_never_falls_with_k() -> None:
    correct = (np.random.default_rng(0).random((7, 9, 3)) < 0.4).astype(float)
    found = pass_at_k(correct, range(1, 10))
    assert found[:, 0] == pytest.approx(correct.mean(axis=1))
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found[:, -1] == correct.max(axis=1)).all()


@pytest.mark.parametrize("k", [0, 33])
def test_samples_that_there_are_not(k: int) -> None:
    correct = np.zeros((1, 32, 1))
    with pytest.raises(InputError, match="choose 1 to 32"):
        pass_at_k(correct, [k])
    with pytest.raises(InputError, match="choose 1 to 32"):
        best_of_n(correct, correct, [k])


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    rng = np.random.default_rng(3)
    correct = (rng.random((1, 6, 1)) < 0.5).astype(float)
    scores = rng.choice([0.1, 0.5, 0.9], size=(1, 6, 1))
    for k in range(1, 7):
        credit = []
        for chosen in itertools.combinations(range(6), k):
            top = max(scores[0, i, 0] for i in chosen)
            credit.append(np.mean([correct[0, i, 0] for i in chosen if scores[0, i, 0] == top]))
        assert best_of_n(correct, scores, [k])[0, 0, 0] == pytest.approx(np.mean(credit), abs=1e-12)


def test_a_perfect_verifier_reaches_pass_at_k() -> None:
    correct = (np.random.default_rng(1).random((5, 8, 2)) < 0.3).astype(float)
    ks = [1, 2, 4, 8]
    assert best_of_n(correct, correct, ks) == pytest.approx(pass_at_k(correct, ks), abs=1e-12)


ballots = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(ABSTAINS, 3), min_size=n, max_size=n),
        st.lists(st.floats(0, 1), min_size=n, max_size=n),
    )
)


@settings(max_examples=50, deadline=None)
@given(ballots, st.floats(0, 1))
def test_equal_scores_give_the_plain_vote(drawn: tuple[list[int], list[float]], score: float) -> None:
    groups = np.array(drawn[0])[None, :, None]
    length, budgets, ks = (
        np.ones(groups.shape[:2], dtype=int),
        np.array([5]),
        list(range(1, len(drawn[0]) + 1)),
    )
    plain = majority(groups, length, budgets, ks)
    weighted = majority(groups, length, budgets, ks, weights=np.full(groups.shape, score))
    assert weighted.by_problem.tolist() == plain.by_problem.tolist()


@settings(max_examples=80, deadline=None)
@given(ballots)
def test_the_largest_sum_of_scores_wins(drawn: tuple[list[int], list[float]]) -> None:
    groups, weights = np.array(drawn[0])[None, :, None], np.array(drawn[1])[None, :, None]
    weights = np.round(weights * 64) / 64
    credit = majority(
        groups, np.ones(groups.shape[:2], dtype=int), np.array([5]), [groups.shape[1]], weights=weights
    ).by_problem[0, 0, 0]
    votes = list(zip(drawn[0], weights[0, :, 0], strict=True))
    worth = {g: (sum(w for h, w in votes if h == g), drawn[0].count(g)) for g in drawn[0] if g != ABSTAINS}
    top = [g for g in worth if worth[g] == max(worth.values())]
    assert credit == pytest.approx((RIGHT in top) / len(top) if top else 0)


def test_one_trusted_sample_outvotes_two() -> None:
    groups = np.array([[[RIGHT], [1], [1]]])
    length, budgets = np.ones((1, 3), dtype=int), np.array([1])
    assert majority(groups, length, budgets, [3]).accuracy[0, 0] == 0
    trusted = np.array([[[0.9], [0.4], [0.3]]])
    assert majority(groups, length, budgets, [3], weights=trusted).accuracy[0, 0] == 1


@pytest.mark.parametrize(("rule", "value"), [("min", 0.25), ("mean", 0.5), ("prod", 0.0625), ("last", 0.25)])
def test_steps_become_one_score(rule: Any, value: float) -> None:
    assert step_score([1.0, 0.25, 0.5, 0.5, 0.25] if rule == "mean" else [1.0, 0.25, 0.25], rule) == value


@pytest.mark.parametrize(
    ("scores", "children"),
    [
        ([0.9, 0.5, 0.1], [14, 2, 0]),
        ([0.1, 0.9, 0.5], [0, 14, 2]),
        ([0.5] * 5, [4, 3, 3, 3, 3]),
        ([0.3], [16]),
    ],
)
def test_rebase_shares_out_16(scores: list[float], children: list[int]) -> None:
    assert rebase_allocation(scores, 16) == children


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
    st.integers(0, 300),
    st.floats(1e-4, 10),
)
def test_rebase_gives_exactly_the_width_and_more_to_the_better(
    scores: list[float], width: int, temperature: float
) -> None:
    children = rebase_allocation(scores, width, temperature)
    assert sum(children) == width
    assert min(children) >= 0
    best = max(range(len(scores)), key=lambda node: scores[node])
    assert children[best] == max(children)


@pytest.mark.parametrize(
    ("scores", "width", "temperature", "said"),
    [
        ([], 4, 0.2, "at least one node"),
        ([float("nan")], 4, 0.2, "finite"),
        ([0.5], -1, 0.2, "width is -1"),
        ([0.5], 4, 0.0, "temperature is 0"),
    ],
)
def test_rebase_refuses(scores: list[float], width: int, temperature: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rebase_allocation(scores, width, temperature)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_run(folder / "run", write_data(folder / "data"), seed=1, samples=4, limit=5)


@pytest.fixture(scope="module")
def perfect(run: Path) -> list[dict[str, Any]]:
    """A score for every stored answer: whether it is right."""
    rows = load_run(run).scores
    budgets = [None if budget < 0 else int(budget) for budget in rows["budget"].fillna(-1)]
    right = (rows["outcome"] == "correct").astype(float)
    columns = zip(rows["task"], rows["problem"], map(int, rows["sample"]), budgets, right, strict=True)
    names = ("task", "problem", "sample", "budget", "score")
    return [dict(zip(names, values, strict=True)) for values in columns]


class TestCommand:
    """`reghar scaling RUN --pass --scores` on a run of the scripted engine."""

    def write(self, folder: Path, rows: list[Any]) -> str:
        path = folder / "scores.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return str(path)

    def scaled(self, capsys: pytest.CaptureFixture[str], run: Path, *words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["scaling", str(run), *words, "--json"]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)["tasks"]
        return result

    def test_pass_at_1_is_the_curve(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        one = self.scaled(capsys, run, "--pass", "1,4")["amc23"]
        outcomes = load_run(run).outcomes("amc23")
        curve = outcomes.correct.mean(axis=1).mean(axis=0)
        assert [row["accuracy"] for row in one["pass"][:5]] == pytest.approx(curve.tolist())
        assert one["sequential"] == one["pass"][:5]
        some = outcomes.correct.max(axis=1).mean(axis=0)
        assert [row["accuracy"] for row in one["pass"][5:]] == pytest.approx(some.tolist())
        spent = np.minimum(outcomes.counted[:, :, None], outcomes.budgets).mean(axis=(0, 1))
        assert [row["tokens"] for row in one["pass"][5:]] == pytest.approx((4 * spent).tolist())

    def test_a_perfect_verifier(
        self, run: Path, perfect: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--pass", "1,4", "--majority", "1,4", "--scores", self.write(tmp_path, perfect)]
        for one in self.scaled(capsys, run, *words).values():
            best, passed = ([row["accuracy"] for row in one[name]] for name in ("best", "pass"))
            assert best == pytest.approx(passed)
            assert [row["accuracy"] for row in one["weighted"]] == pytest.approx(passed)

    def test_equal_scores_of_steps(
        self, run: Path, perfect: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [row | {"score": [0.5, 0.7]} for row in perfect]
        words = ["--majority", "1,3,4", "--scores", self.write(tmp_path, rows), "--steps", "last"]
        for one in self.scaled(capsys, run, *words).values():
            assert one["weighted"] == one["majority"]

    def test_only_budgets_with_all_scores_count(
        self, run: Path, perfect: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [row for row in perfect if row["task"] == "amc23" and row["budget"] in (None, 64, 512)]
        found = self.scaled(capsys, run, "--scores", self.write(tmp_path, rows))
        assert sorted({row["budget"] for row in found["amc23"]["best"]}) == [64, 512]
        assert "none of this task" in found["aime24"]["notes"][0]
        assert main(["scaling", str(run), "--scores", self.write(tmp_path, rows[:1])]) == 2
        assert "no budget has a score for every sample" in capsys.readouterr().err

    def test_figure_and_tables(
        self, run: Path, perfect: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["--pass", "1,2,4", "--majority", "1,2,4", "--scores", self.write(tmp_path, perfect)]
        assert main(["scaling", str(run), *words, "--figures"]) == 0
        printed = capsys.readouterr().out
        for title in ("pass@k", "majority vote", "weighted by score", "best of k"):
            assert title in printed
        assert (run / "parallel.png").stat().st_size > 10_000
        assert (run / "scaling.svg").exists()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"score": 1.5}, "line 2: score is 1.5: give a number from 0 to 1"),
            ({"score": -0.1}, "score is -0.1"),
            ({"score": True}, "score is True"),
            ({"score": []}, "empty list"),
            ({"score": [0.5, "x"]}, "score is 'x'"),
            ({"task": "gsm8k"}, "no task 'gsm8k'"),
            ({"problem": "p"}, "no problem 'p'"),
            ({"sample": 4}, "sample is 4: give 0 to 3"),
            ({"budget": 65}, "budget is 65"),
            ({}, "line 2: this answer has a score already"),
        ],
    )
    def test_bad_scores_end_in_one_line(
        self,
        run: Path,
        perfect: list[dict[str, Any]],
        change: dict[str, Any],
        said: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = self.write(tmp_path, [perfect[0], perfect[bool(change)] | change])
        assert main(["scaling", str(run), "--scores", file]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1

    def test_nan_is_no_score(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = self.write(tmp_path, ['{"task": "amc23", "score": NaN}'])
        assert main(["scaling", str(run), "--scores", file]) == 2
        assert "line 1 is not JSON" in capsys.readouterr().err

    @pytest.mark.parametrize("flag", ["--pass", "--majority"])
    def test_more_samples_than_there_are(
        self, run: Path, flag: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["scaling", str(run), flag, "5"]) == 2
        assert "choose 1 to 4" in capsys.readouterr().err
