"""Rejection sampling and majority vote: laws, by hand, on a stored run; s1's tables by the command."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of
from hypothesis import given, settings
from hypothesis import strategies as st

from reghar.cli import main
from reghar.errors import InputError
from reghar.grading import GraderPool
from reghar.measures.csv_input import read_settings
from reghar.measures.s1 import measure_settings
from reghar.measures.scaling import ABSTAINS, RIGHT, majority, rejection
from reghar.measures.scaling_of_run import _rejection_rows
from reghar.measures.votes import answer_groups
from reghar.store import load_run

HEADER = "setting,min_tokens,max_tokens,tokens,accuracy\n"
# s1, table 12: step-conditional control, a step taken as 100 tokens.
STEPS = (16, 32, 64, 128, 256)


def steps_table(tokens: list[int], accuracy: list[float]) -> str:
    rows = zip(STEPS, tokens, accuracy, strict=True)
    return HEADER + "".join(f"{steps},,{100 * steps},{used},{percent}\n" for steps, used, percent in rows)


TABLE_12 = steps_table([7252, 6277, 5396, 5552, 7551], [33.3, 23.3, 33.3, 36.7, 33.3])
TABLE_12_FORCED = steps_table([1517, 2963, 4636, 5409, 7551], [23.3, 23.3, 33.3, 36.7, 33.3])


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "obeyed", "slope", "best"), [(TABLE_12, 3, 3.02, 36.7), (TABLE_12_FORCED, 5, 6.44, 36.7)]
)
def test_s1_table_12(
    text: str, obeyed: int, slope: float, best: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scaling", "--csv", str(write(tmp_path, text)), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["control"] == 20 * obeyed
    assert (result["obeyed"], result["bounded"]) == (obeyed, 5)
    assert result["scaling"] == pytest.approx(slope, abs=0.005)
    assert result["performance"] == best
    assert (result["pairs"], result["pairs_left_out"]) == (10, 0)


def test_the_table_is_printed_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", "--csv", str(write(tmp_path, TABLE_12))]) == 0
    printed = capsys.readouterr().out
    for part in ("60.00%", "3 of 5", "3.02 points per doubling", "36.70%", "10, of which 0 left out"):
        assert part in printed


def test_settings_without_bounds_and_pairs_without_slopes(tmp_path: Path) -> None:
    table = read_settings(write(tmp_path, HEADER + "a,,,0,10\nb,50,,100,20\nc,,90,100,30\nd,,,200,40%\n"))
    result = measure_settings(table)
    assert (result.control, result.bounded) == (50, 2)
    assert result.pairs_left_out == 4
    assert result.scaling == pytest.approx((20 + 10) / 2)
    assert result.scaling_per_1000 == pytest.approx((200 + 100) / 2)
    alone = measure_settings(read_settings(write(tmp_path, HEADER + "a,,,5,1\n")))
    assert (alone.control, alone.scaling, alone.scaling_per_1000, alone.pairs) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("setting,tokens\n", "min_tokens or max_tokens or accuracy"),
        (HEADER, "empty"),
        (HEADER + ",,,1,2\n", "no name"),
        (HEADER + "a,,,1,2\na,,,1,2\n", "line 3: setting 'a' is given twice"),
        (HEADER + "a,,,x,2\n", "line 2: tokens 'x'"),
        (HEADER + "a,,,-1,2\n", "tokens '-1'"),
        (HEADER + "a,,,1,102\n", "accuracy '102'"),
        (HEADER + "a,,,1,nan\n", "accuracy 'nan'"),
        (HEADER + "a,9,3,1,2\n", "min_tokens 9 is above max_tokens 3"),
        (HEADER + "a,,y,1,2\n", "max_tokens 'y'"),
        (HEADER + "a,,\n", "tokens ''"),
    ],
)
def test_bad_tables(text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", "--csv", str(write(tmp_path, text))]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--csv FILE or a RUN"),
        (["nowhere", "--rejection", "5"], "nowhere"),
        (["nowhere"], "--majority"),
        (["--csv", "nowhere.csv"], "nowhere.csv"),
        (["--csv", "a", "--rejection", "5"], "a table holds no traces"),
        (["--csv", "a", "run"], "either"),
        (["run", "--majority", "0"], "'0'"),
        (["run", "--rejection", "50", "--seed", "-1"], "--seed -1: give a number from 0 on"),
        (["run", "--majority", "two"], "'two'"),
        (["run", "--rejection", ","], "empty"),
    ],
)
def test_bad_requests(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_rejection_by_hand() -> None:
    length = np.array([[10, 20], [30, 40], [50, 60]])
    correct = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    result = rejection(length, correct, [5, 10, 30, 60])
    assert result.accuracy.tolist()[1:] == pytest.approx([1.0, 0.25, (0.5 + 0.5 + 1) / 3])
    assert np.isnan(result.accuracy[0])
    assert result.coverage.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    # Of each covered problem: 2; 1 and 2; 1, 1, 1. A try is stopped at the limit.
    assert result.tries.tolist() == [np.inf, 2, 1.5, 1]
    assert result.tries_pooled.tolist() == [np.inf, 6, 2, 1]
    assert result.tokens.tolist()[1:] == pytest.approx([20, (15 + 2 * 30) / 2, 35])
    assert result.accuracy_over_all.tolist() == pytest.approx([0, 1 / 3, 0.5 / 3, 2 / 3])


def test_an_easy_problem_does_not_lend_its_tries_to_a_hard_one() -> None:
    length = np.array([[10] * 10, [10] + [1000] * 9])
    result = rejection(length, np.ones((2, 10)), [10])
    assert (result.tries[0], result.tokens[0]) == (5.5, 55)
    assert result.tries_pooled[0] == pytest.approx(20 / 11)


groups_of_answers = st.integers(1, 4).flatmap(
    lambda problems: st.integers(1, 6).flatmap(
        lambda samples: st.lists(
            st.lists(st.integers(ABSTAINS, 3), min_size=samples, max_size=samples),
            min_size=problems,
            max_size=problems,
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(groups_of_answers)
def test_one_vote_is_the_mean_and_all_votes_are_the_count(drawn: list[list[int]]) -> None:
    groups = np.array(drawn)[:, :, None]
    samples = groups.shape[1]
    length = np.full(groups.shape[:2], 7)
    result = majority(groups, length, np.array([5]), [1, samples])
    assert result.accuracy[0, 0] == pytest.approx((groups == RIGHT).mean(axis=1).mean(), abs=1e-12)
    expected = []
    for answers in drawn:
        votes = {g: answers.count(g) for g in answers if g != ABSTAINS}
        top = [g for g, count in votes.items() if count == max(votes.values())]
        expected.append((RIGHT in top) / len(top) if top else 0)
    assert result.accuracy[1, 0] == pytest.approx(np.mean(expected), abs=1e-12)
    assert result.tokens[:, 0].tolist() == [5, 5 * samples]


def test_a_vote_of_some_is_near_the_mean_over_all_subsets() -> None:
    groups = np.array([[0, 0, 1, 1, 2, -1, 0, 3]])[:, :, None]
    length = np.full((1, 8), 10)
    result = majority(groups, length, np.array([100]), [3], seed=1)
    credits = []
    for chosen in itertools.combinations(groups[0, :, 0].tolist(), 3):
        counts = {g: chosen.count(g) for g in chosen if g != ABSTAINS}
        top = [g for g in counts if counts[g] == max(counts.values())]
        credits.append((RIGHT in top) / len(top))
    exact, noise = np.mean(credits), np.std(credits) / np.sqrt(1000)
    assert abs(result.accuracy[0, 0] - exact) < 4 * noise
    again = majority(groups, length, np.array([100]), [3], seed=1)
    assert again.accuracy.tolist() == result.accuracy.tolist()
    assert result.tokens.tolist() == [[30]]


def test_an_accuracy_over_fewer_than_two_problems_has_no_interval() -> None:
    length = np.array([[50, 50], [500, 500], [900, 900]])
    result = rejection(length, np.ones((3, 2)), [0, 100, 600, 1000])
    rows = _rejection_rows(result, 0, outcomes_of(np.ones((3, 2, 1)), [64], lengths=length))
    assert [row["accuracy"] for row in rows] == [None, 1.0, 1.0, 1.0]
    assert [(row["low"], row["high"]) for row in rows] == [
        (None, None),
        (None, None),
        (pytest.approx(2 / (2 + 1.959964**2)), 1.0),  # 2 of 2, and 3 of 3, are no certainty
        (pytest.approx(3 / (3 + 1.959964**2)), 1.0),
    ]
    assert rows[0]["tokens"] is None


def test_more_votes_than_samples_are_refused() -> None:
    with pytest.raises(InputError, match="choose 1 to 2"):
        majority(np.zeros((1, 2, 1), dtype=int), np.ones((1, 2), dtype=int), np.array([1]), [3])


@pytest.fixture(scope="module")
def stored(benchmark_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the scripted engine on real questions, two golds of three being 42."""
    folder = tmp_path_factory.mktemp("stored")
    rows = [json.loads(line) for line in (benchmark_data / "amc23.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row["answer"] = "42" if i % 3 else row["answer"]
    (folder / "amc23.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["run", "--engine", "scripted", "--tasks", "amc23", "--data-dir", str(folder), "--limit", "9"]
    words += ["--samples", "6", "--budgets", "0,64,256,1024", "--max-tokens", "1024", "--frontier", "none"]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder / "run"


def scaled(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["scaling", *words, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)["tasks"]["amc23"]
    return result


def test_rejection_at_l_max_is_the_plain_accuracy(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = scaled(capsys, str(stored), "--rejection", "1,300,1024")["rejection"]
    outcomes = load_run(stored).outcomes("amc23")
    assert outcomes.finished.all()
    assert rows[-1]["accuracy"] == pytest.approx(outcomes.full_correct.mean(), abs=1e-12)
    assert (rows[-1]["coverage"], rows[-1]["expected_tries"]) == (1, 1)
    assert rows[-1]["tokens"] == pytest.approx(outcomes.length.mean())
    assert rows[0]["accuracy"] is rows[0]["expected_tries"] is None
    short = outcomes.length <= 300
    assert 0 < short.mean() < 1
    held = short.any(axis=1)
    assert rows[1]["expected_tries"] == pytest.approx((1 / short[held].mean(axis=1)).mean())
    assert rows[1]["expected_tries_pooled"] == pytest.approx(1 / short.mean())
    assert rows[1]["coverage"] == short.any(axis=1).mean()
    assert rows[1]["low"] <= rows[1]["accuracy"] <= rows[1]["high"]


def test_majority_of_one_is_avg_at_n(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = scaled(capsys, str(stored), "--majority", "1,3,6")["majority"]
    outcomes = load_run(stored).outcomes("amc23")
    curve = outcomes.correct.mean(axis=1).mean(axis=0)
    assert [row["accuracy"] for row in rows if row["samples"] == 1] == curve.tolist()
    for row in rows:
        spent = np.minimum(outcomes.length, row["budget"]).mean()
        assert row["tokens"] == pytest.approx(row["samples"] * spent)
    assert rows[-1]["accuracy"] > rows[3]["accuracy"], "wrong numbers differ, so a vote helps"


def test_answers_that_are_equal_vote_together(stored: Path) -> None:
    run = load_run(stored)
    scores = run.scores.copy()
    at_end = scores["budget"].isna()
    one = scores["problem"] == scores["problem"].iloc[0]
    scores.loc[at_end & one, "outcome"] = ["incorrect"] * 4 + ["no_answer", "correct"]
    scores.loc[at_end & one, "answer"] = ["0.5", "\\frac{1}{2}", "1/2", "3", None, "7"]
    run.__dict__["scores"] = scores
    with GraderPool(workers=1) as pool:
        groups = answer_groups(run, "amc23", pool)[0, :, -1].tolist()
    assert groups[0] == groups[1] == groups[2] > RIGHT
    assert groups[3] not in (groups[0], RIGHT, ABSTAINS)
    assert groups[4:] == [ABSTAINS, RIGHT]


def test_the_figure_and_the_tables(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(stored), "--majority", "1,2,4", "--rejection", "200,1024", "--figures"]
    assert main(["scaling", *words]) == 0
    printed = capsys.readouterr().out
    assert "k = 4" in printed
    assert "tries" in printed
    assert (stored / "scaling.png").stat().st_size > 0
    assert main(["scaling", str(stored), "--majority", "7"]) == 2
    assert "has 6 samples per problem" in capsys.readouterr().err
